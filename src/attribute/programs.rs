//! Programs that open connections for others. What they do says nothing about who wanted it.

/// Services of the system that fetch and send for programs.
const BROKERS: &[&str] = &[
    "svchost",
    "nsurlsessiond",
    "com.apple.webkit.networking",
    "networkserviceproxy",
    "backgroundtransferhost",
    "runtimebroker",
    "dllhost",
    "containerd-shim",
];

/// Services that look names up for programs.
const RESOLVERS: &[&str] =
    &["svchost", "systemd-resolve", "systemd-resolved", "mdnsresponder", "dnsmasq", "nscd", "unbound"];

/// Proxies that run on the host itself, and through which other programs speak.
const LOCAL_PROXIES: &[&str] = &[
    "zsatunnel",
    "zsaservice",
    "stagentsvc",
    "nsauxiliarysvc",
    "acumbrellaagent",
    "csc_umbrellaagent",
    "dnscrypt-proxy",
    "cloudflared",
    "warp-svc",
    "wslrelay",
    "wslhost",
    "docker-proxy",
    "com.docker.backend",
    "vpnkit",
    "privoxy",
    "px",
    "cntlm",
    "mitmdump",
    "mitmproxy",
    "fiddler",
    "avp",
    "ekrn",
    "afwserv",
    "bdservicehost",
    "forticlient",
    "fortitray",
    "globalprotect",
    "pangps",
    "squid",
];

/// It fetches and sends for others.
pub(super) fn is_broker(name: &str) -> bool {
    BROKERS.contains(&name)
}

/// It looks names up for others.
pub(super) fn is_resolver(name: &str) -> bool {
    RESOLVERS.contains(&name)
}

/// Other programs of the host speak through it.
pub(super) fn is_local_proxy(name: &str) -> bool {
    LOCAL_PROXIES.contains(&name)
}
