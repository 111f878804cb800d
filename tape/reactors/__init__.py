"""Five peers that never import each other, and the host that builds, paces and stops them."""
