"""The sentences of items of the type ``kubernetes``, in the languages of the agent."""

from __future__ import annotations

from pathlib import Path

from candy_core import Catalogue

# The nouns for the objects of a check.
NODE = "node"
POD = "pod"
WORKLOAD = "workload"
SERVICE = "service"
VOLUME = "persistent volume claim"
EVENT = "warning event"
CERTIFICATE = "certificate"

# The issues of an offender.
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
POD_OVERDUE = "deletion overdue by {age}"

OUTDATED_STATUS = "no controller has acted on its generation {generation} yet"
NO_STATUS = "no controller has reported its status"
AVAILABLE = "{count} of {wanted} available"
READY = "{count} of {wanted} ready"
UPDATED = "{count} of {wanted} updated"
STUCK = "its rollout is stuck: {reason}"
NO_PODS = "its pods cannot be created: {reason}"

NO_ENDPOINTS = "has no endpoints"
NONE_READY = "none of its {count} endpoints is ready"

CLAIM_UNBOUND = "in phase {phase} for {age}"

EXPIRED = "expired {days} days ago, at {time}"
EXPIRES = "expires in {days} days, at {time}"
NOT_YET_VALID = "not valid before {time}"
UNREADABLE = "holds no readable certificate"

# Headings, and sentences for checks without objects.
FOUND = "{Nouns} with problems:"
NOTHING = "there are no {nouns} to check"
NOTHING_IN = "there are no {nouns} to check in namespace {namespace}"
NOTHING_SELECTED = "there are no {nouns} to check with {selector}"
NOTHING_SELECTED_IN = "there are no {nouns} to check with {selector} in namespace {namespace}"

# Why a check failed.
NO_CLUSTER = "there is no cluster to check: {why}"
UNREACHABLE = "the Kubernetes cluster is unreachable: {why}"
TIMED_OUT = "the Kubernetes cluster did not respond in time: {why}"
UNAUTHENTICATED = "the Kubernetes cluster does not accept the agent's credential (401)"
NOT_ALLOWED = "the agent lacks a permission: it may not list {resource} in all namespaces"
NOT_ALLOWED_IN = "the agent lacks a permission: it may not list {resource} in namespace {namespace}"
NOT_ALLOWED_OF_CLUSTER = "the agent lacks a permission: it may not list {resource}"
NOT_SERVED = "the Kubernetes cluster does not serve {resource}"
TOO_LARGE = "a single object in the list of {resource} is larger than {limit} bytes"
CHANGED = "reading the list of {resource} took so long that it expired: {why}"
NOT_A_LIST = "the response of the Kubernetes cluster is not a list of {resource}"
BAD_SELECTOR = "the Kubernetes cluster rejects it: {why}"

catalogue = Catalogue("candy_kubernetes", Path(__file__).parent / "locales")
sentence = catalogue.sentence
