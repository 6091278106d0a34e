"""Candy Agent's plugin for what a Kubernetes cluster says of itself."""
