"""What Candy Agent's plugins for Kubernetes share: a cluster, and rules kept in custom resources."""
