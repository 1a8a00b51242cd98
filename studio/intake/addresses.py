"""Which network addresses the studio may fetch from on a person's behalf: public ones only."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

# Beyond what Python's own tables call private, which differ between its versions.
REFUSED = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; also 100.100.100.200, a cloud's metadata
        "168.63.129.16/32",  # a cloud's host agent, on a public number
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",
        "3fff::/20",
    )
)
GLOBAL_V6 = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def refusal(address: str) -> str | None:
    """Return why an IP address may not be fetched from, in a few words, or None where it may."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    inner = _carried(ip)
    if inner is not None:
        return refusal(str(inner))
    if ip.is_loopback or ip.is_unspecified:
        return "this machine itself"
    if ip.is_link_local:
        return "link-local, where clouds keep their secrets"
    if ip.is_multicast:
        return "multicast"
    if ip.is_private:
        return "a private network"
    taken = any(ip.version == net.version and ip in net for net in REFUSED)
    if taken or not ip.is_global or (ip.version == 6 and ip not in GLOBAL_V6):
        return "reserved"
    return None


def _carried(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if not isinstance(ip, IPv6Address):
        return None
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    low = IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in NAT64:
        return low
    if int(ip) >> 32 == 0 and int(ip) > 1:  # the old “IPv4-compatible” form
        return low
    return None
