"""Mattes: from an object's mask to a trimap, from that to an alpha, and from that to a cut-out without a fringe."""
