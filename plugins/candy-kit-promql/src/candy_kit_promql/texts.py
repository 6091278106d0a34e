"""The sentences of metric items, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

REJECTED = "datasource {datasource} rejected the query: {text}"
UNAUTHORIZED = "datasource {datasource} ({host}) refused the credentials: HTTP {status}"
UNREACHABLE = "datasource {datasource} ({host}) is unreachable: {why}"
UNAVAILABLE = "datasource {datasource} ({host}) is unavailable: HTTP {status}"
BROKEN_OFF = "the answer of datasource {datasource} ({host}) broke off"
TIMED_OUT = "datasource {datasource} ({host}) did not answer within {seconds} s"
SERVER_TIMED_OUT = "datasource {datasource} gave up on the query: {text}"
TOO_LARGE = "the answer of datasource {datasource} is larger than {limit} bytes"
REDIRECTED = "datasource {datasource} ({host}) answered with a redirect (HTTP {status}), and redirects are not followed"
BAD_STATUS = "datasource {datasource} ({host}) answered HTTP {status}, which is not an answer of a query API"
COMPRESSED = "datasource {datasource} ({host}) sent a compressed answer, though it was asked not to"
NOT_JSON = "datasource {datasource} ({host}) answered with something that is not JSON: {why}"
WRONG_SHAPE = "datasource {datasource} ({host}) answered JSON that is not of a query API: {why}"
INTERNAL = "datasource {datasource} ({host}) failed: {text}"

NOT_CONFIGURED = "no datasource is configured: set {variable}"
NO_DEFAULT = "no default datasource is configured: set {variable}, or let the item name one of: {names}"
UNKNOWN_DATASOURCE = "params.datasource: expected one of: {names}"
NO_CREDENTIAL = "the credentials of datasource {datasource} could not be read: {why}"

FILTERED = "the query's own filter let no series pass"
SELECTS_NONE = "the query selects no series, and its result is empty"
ABSENT = "no series at all for {selectors}"
UNEXPLAINED = "the result is empty, and no filter of the query explains it"
UNKNOWN = "the result is empty, and the server does not say why"

HISTOGRAMS = "{count} native histograms, which are not numbers: query a number of each, as by histogram_quantile()"
TEXT_RESULT = "the result is text, which cannot be compared with a threshold"

catalogue = Catalogue("candy_kit_promql", Path(__file__).parent / "locales")
sentence = catalogue.sentence
