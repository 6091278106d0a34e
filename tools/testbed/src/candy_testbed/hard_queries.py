"""Queries that are hard to put together with others, and values that are hard to hand on, for any server.

Series are made by the queries themselves, so that they need nothing but the session's servers.
"""

from __future__ import annotations

NUMBERS = (
    *("1e308", "-1e308", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "-0.0", "0.1", "1e21", "1e-7"),
    *("33.333333333333336", "0.1234567890123456789", "123456789012345678901", "+Inf", "-Inf", "NaN", "0x1F", "80"),
)
"""Numbers as queries write them."""


def _series(**values: str) -> str:
    return "(" + " or ".join(f'label_replace(vector({v}),"instance","{i}","","")' for i, v in values.items()) + ")"


_MANY = _series(a="1e308", b="-Inf", c="NaN", d="+Inf", e="5e-324", f="-0.0", g="80", h="80.00000000000001")
_NODE = 'label_replace(vector(81.5),"instance","节点 \\"1\\"","","")'
_MARKED = 'label_replace(vector(3),"candy_item","0","","")'

QUERIES = (
    *(_MANY, f"-{_MANY}", f"abs{_MANY}", f"{_MANY} > 5", f"{_MANY} > bool 5", f"{_MANY} * 1e308", f"{_MANY} * 0"),
    *(f"sum({_MANY})", f"sum by (instance) {_MANY}", f"count({_MANY}) by (candy_item)", f"max without (x) {_MANY}"),
    *(f"topk(3, {_MANY})", f"(bottomk(2, {_MANY}))", f"TOPK(1, {_MANY})", f"limitk(2, {_MANY})", f"group({_MANY})"),
    *(f"sort({_MANY})", f"((sort_desc({_MANY})))", f"SORT({_MANY})", f"sort({_MANY}) + 0", f"-sort({_MANY})"),
    *(f'count_values("candy_item", {_MANY})', f"quantile(0.5, {_MANY})", f"stddev({_MANY})", f"({_MANY})[3s:1s]"),
    *(f"max_over_time({_MANY}[5s:1s])", f"last_over_time({_MANY}[5s:1s] offset 1s)", f"{_MANY} == 80 unless gone"),
    *(_NODE, f"{_NODE} or {_MARKED}", f"+({_NODE} or up)", f"{_MARKED} or on() {_NODE}", f"{_NODE} and {_MARKED}"),
    *(_MARKED, f"sum by (candy_item) ({_MARKED})", f'label_join({_NODE},"candy_item","-","instance")'),
    *(
        'label_replace(up,"__name__","x","","")',
        'label_replace(up,"instance","","","")',
        "-up ^ 2",
        "2 ^ -up",
        "-1 ^ 2",
    ),
    *('-{__name__=~"node_load1|node_load5"}', 'rate({__name__=~"node_load1|node_load5"}[5s])', "up + on() up"),
    *("up == on(instance) group_right up", "node_load1 * on(instance) group_left(job) up", "up % 2", "up atan2 up"),
    *("up offset 1s", "up offset -1s", "up @ end()", "up @ start() offset 1s", "up @ 0", "up[3s]", "up[3s:1s]"),
    *("absent(up)", "absent(gone)", 'absent(gone{a="b",c=~"d"})', "absent_over_time(gone[5m])", "vector(1) > 5"),
    *("up == 5", "up == 5 unless gone", "gone", "gone or gone", "up > 5 or gone", "count(up) by (x)", "up and gone"),
    *("vector(time())", "time()", "scalar(up)", "scalar(gone)", "vector(scalar(gone))", "1", "'a text'", "pi() * up"),
    *("histogram_quantile(0.9, up)", "holt_winters(up[5s], 0.5, 0.5)", "predict_linear(up[5s], 1)", "timestamp(up)"),
    *("up # a comment", "up # ) or (\n", "# nothing", "up\n", "\n up \n", "up\t", "up\r\n", 'up{job="#"}', "up{a=`b`}"),
    *("up)", "up) or (up", "(up", "up}", 'up{job="a', "up,up", 'up,"a","b"', "up;up", "up&time=1", "up%20", "up+up"),
    *('{"up"}', '{job="node",__name__="up"}', 'up{instance!=""}', 'up{nope=""}', 'up{job="节点"}', "up{job='a\\'b'}"),
)
"""Expressions that some server takes, and some that none does."""
