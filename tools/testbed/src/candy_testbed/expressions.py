"""Random expressions over the metrics that the session's servers have, for tests with Hypothesis.

PromQL that both Prometheus and VictoriaMetrics take, some that one of them refuses, and some that nobody takes. Vectors
are never compared with each other: sums of floats come out in one order today and in another tomorrow.
"""

from __future__ import annotations

from hypothesis import strategies as st

_SELECTORS = [
    "up", 'up{job="node"}', "node_load1", "node_cpu_seconds_total", 'node_cpu_seconds_total{mode=~"i.*"}',
    '{__name__=~"node_load.*"}', "node_memory_MemTotal_bytes", "gone", 'gone{a="b,c) or (d"}', "up offset 2s",
    "node_load1 @ end()", "node_filesystem_size_bytes", 'up{instance!=""}',
]  # fmt: skip
_AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev"]
_GROUPINGS = ["", " by (mode)", " by (instance, job)", " without (cpu)", " by ()"]
_OVER_TIME = ["rate", "irate", "increase", "max_over_time", "last_over_time", "count_over_time", "present_over_time"]
_FUNCTIONS = ["abs", "ceil", "sgn", "sqrt", "timestamp", "sort", "sort_desc", "absent", "-", "+", ""]

selectors = st.sampled_from(_SELECTORS)
scalars = st.sampled_from(["1", "0", "2.5", "-1", "time()", "scalar(node_load1)", "scalar(gone)", "1 + 1", "NaN"])
broken = st.sampled_from(["sum(", "up{", "up) or (up", "rate(up)", "nope(up)", "up +", "# nothing", '-{job="node"}'])


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{} ({})".format, st.sampled_from(_AGGREGATIONS), st.sampled_from(_GROUPINGS), inner),
        st.builds("{}(2, {})".format, st.sampled_from(["topk", "bottomk", "quantile"]), inner),
        st.builds('count_values("x", {})'.format, inner),
        st.builds("{}({})".format, st.sampled_from(_FUNCTIONS), inner),
        st.builds("{}(({})[5s:1s])".format, st.sampled_from(["max_over_time", "avg_over_time"]), inner),
        st.builds(
            "({}) {} {}".format, inner, st.sampled_from(["+", "*", ">", "< bool", "== bool", "!=", "^"]), scalars
        ),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or", "unless", "or on()", "and on()"]), inner),
        st.builds("({}) / on(instance) ({})".format, inner, inner),
        st.builds("{} / (({}) * 0)".format, st.sampled_from(["0", "1"]), inner),
        st.builds('label_replace({}, "candy_item", "$1", "job", "(.*)")'.format, inner),
        st.builds('label_replace({}, "instance", "", "", "")'.format, inner),
        st.builds("clamp_max({}, 1)".format, inner),
        st.builds("{}\n".format, inner),
        st.builds("{}  # distinct".format, inner),
    )


vectors = st.recursive(
    st.one_of(
        selectors,
        st.builds("{}({}[10s])".format, st.sampled_from(_OVER_TIME), st.sampled_from(_SELECTORS[:5])),
        st.builds("vector({})".format, scalars),
        st.sampled_from(["minute()", "vector(1) > 5"]),
    ),
    _deeper,
    max_leaves=4,
)
expressions = st.one_of(vectors, vectors, vectors, scalars, broken, st.sampled_from(['"a text"', "up[3s]"]))
"""Anything that an item may ask."""
