"""Candy Agent's plugin that checks a Kubernetes cluster through its API."""
