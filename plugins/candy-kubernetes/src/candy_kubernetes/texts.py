"""The sentences of items of the type ``kubernetes``, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

# What is looked at, in the singular.
NODE = "node"
POD = "pod"
WORKLOAD = "workload"
SERVICE = "service"
VOLUME = "persistent volume claim"
EVENT = "warning event"
CERTIFICATE = "certificate"

# What is wrong with one of them.
NODE_NOT_READY = "not ready since {since}: {reason}"
NODE_SILENT = "its kubelet has been silent since {since}: {reason}"
NODE_NEVER_READY = "has no Ready condition"
NODE_CONDITION = "{condition} since {since}"
NODE_CORDONED = "cordoned"

POD_FAILED = "failed: {reason}"
POD_LOST = "in phase {phase}"
POD_PENDING = "pending for {age}"
POD_PENDING_BECAUSE = "pending for {age}: {reason}"
POD_WAITS = "container {container} waits: {reason}"
POD_ENDED = "container {container} ended with exit code {code}: {reason}"
POD_RESTARTS = "{count} restarts"
POD_NOT_READY = "not ready for {age}"
POD_STAYS = "should have been gone for {age}"

UNSEEN = "no controller has acted on its generation {generation} yet"
NO_STATUS = "no controller has told its status"
AVAILABLE = "{count} of {wanted} available"
READY = "{count} of {wanted} ready"
UPDATED = "{count} of {wanted} updated"
STUCK = "its rollout is stuck: {reason}"
NO_PODS = "its pods cannot be made: {reason}"

NO_ENDPOINTS = "has no endpoints"
NONE_READY = "none of its {count} endpoints is ready"

CLAIM_UNBOUND = "in phase {phase} for {age}"

EXPIRED = "expired {days} days ago, at {time}"
EXPIRES = "expires in {days} days, at {time}"
NOT_YET_VALID = "not valid before {time}"
UNREADABLE = "holds no readable certificate"

# What stands around them.
FOUND = "{Nouns} found wanting:"
NOTHING = "there are no {nouns} to check"
NOTHING_IN = "there are no {nouns} to check in namespace {namespace}"
NOTHING_SELECTED = "there are no {nouns} to check with {selector}"
NOTHING_SELECTED_IN = "there are no {nouns} to check with {selector} in namespace {namespace}"

# Why there is nothing to tell.
NO_CLUSTER = "there is no cluster to look at: {why}"
UNREACHABLE = "the Kubernetes cluster is unreachable: {why}"
TIMED_OUT = "the Kubernetes cluster did not answer in time: {why}"
UNAUTHENTICATED = "the Kubernetes cluster does not take the agent's credential (401)"
NOT_ALLOWED = "the Kubernetes cluster does not let the agent list {resource} in all namespaces: the right is missing"
NOT_ALLOWED_IN = (
    "the Kubernetes cluster does not let the agent list {resource} in namespace {namespace}: the right is missing"
)
NOT_ALLOWED_OF_CLUSTER = "the Kubernetes cluster does not let the agent list {resource}: the right is missing"
NOT_SERVED = "the Kubernetes cluster does not serve {resource}"
TOO_LARGE = "a single object of the list of {resource} is larger than {limit} bytes"
CHANGED = "the list of {resource} took so long that the Kubernetes cluster gave it up: {why}"
NOT_A_LIST = "the Kubernetes cluster answered with something that is no list of {resource}"
BAD_SELECTOR = "the Kubernetes cluster refuses it: {why}"

catalogue = Catalogue("candy_kubernetes", Path(__file__).parent / "locales")
sentence = catalogue.sentence
