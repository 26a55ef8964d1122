//! Frames made by hand, from the inside out. Nothing here comes from the code under test.

/// Bytes in a row.
pub(crate) fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// What the innermost packet says.
pub(crate) const HELLO: &[u8] = b"hello";

/// TCP without options, from port 40000 to 443, sequence 1, acknowledgement 2, PSH and ACK.
pub(crate) fn tcp(payload: &[u8]) -> Vec<u8> {
    cat(&[&[0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0], payload])
}

/// UDP with the length it has.
pub(crate) fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 8) as u16;
    cat(&[&src.to_be_bytes(), &dst.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload])
}

/// IPv4 without options, 10.0.0.1 to 10.0.0.2, id 7, time to live 64.
pub(crate) fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip4_with([10, 0, 0, 1], [10, 0, 0, 2], protocol, 0, payload)
}

/// The tunnel's IPv4, with other addresses.
pub(crate) fn outer4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip4_with([192, 0, 2, 1], [192, 0, 2, 2], protocol, 0, payload)
}

/// IPv4 with addresses and the field of flags and fragment offset.
pub(crate) fn ip4_with(src: [u8; 4], dst: [u8; 4], protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = ((payload.len() + 20) as u16).to_be_bytes();
    let fragment = fragment.to_be_bytes();
    cat(&[&[0x45, 0], &total, &[0, 7], &fragment, &[64, protocol, 0, 0], &src, &dst, payload])
}

/// IPv6, 2001:db8::1 to 2001:db8::2, hop limit 64.
pub(crate) fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut h = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    h[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    for last in [1, 2] {
        h.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    h.extend(payload);
    h
}

/// An IPv6 extension header of eight bytes.
pub(crate) fn ext6(next: u8, payload: &[u8]) -> Vec<u8> {
    cat(&[&[next, 0, 1, 4, 0, 0, 0, 0], payload])
}

/// An IPv6 fragment header.
pub(crate) fn frag6(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (offset | u16::from(more)).to_be_bytes();
    cat(&[&[next, 0], &field, &[0, 0, 0, 9], payload])
}

/// A type, or any other number of two bytes, before what it announces.
pub(crate) fn typed(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&kind.to_be_bytes(), payload])
}

/// Destination and source of an Ethernet frame.
pub(crate) const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// Ethernet II.
pub(crate) fn eth(kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&MACS, &typed(kind, payload)])
}

/// A tag of 802.1Q and the type behind it.
pub(crate) fn tag(vlan: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    typed(vlan, &typed(kind, payload))
}

/// 802.3 with LLC and SNAP.
pub(crate) fn snap(oui: [u8; 3], kind: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[0xaa, 0xaa, 3], &oui, &typed(kind, payload)])
}

/// One MPLS label; `last` for the bottom of the stack.
pub(crate) fn label(value: u32, last: bool, payload: &[u8]) -> Vec<u8> {
    cat(&[&(value << 12 | u32::from(last) << 8 | 64).to_be_bytes(), payload])
}

/// GRE with its two flag bytes and whatever fields they announce, all zero.
pub(crate) fn gre(flags: [u8; 2], fields: usize, protocol: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&flags, &protocol.to_be_bytes(), &vec![0; fields], payload])
}

/// An 802.11 data frame to the distribution system, with quality of service or not.
pub(crate) fn wlan(qos: bool, payload: &[u8]) -> Vec<u8> {
    let mut h = vec![if qos { 0x88 } else { 0x08 }, 1, 0, 0];
    for last in [3, 1, 2] {
        h.extend([2, 0, 0, 0, 0, last]);
    }
    h.extend([0x10, 0]);
    if qos {
        h.extend([0, 0]);
    }
    h.extend(payload);
    h
}

/// The innermost packet of most stacks: IPv4, TCP, [`HELLO`].
pub(crate) fn inner4() -> Vec<u8> {
    ip4(6, &tcp(HELLO))
}

/// The same over IPv6.
pub(crate) fn inner6() -> Vec<u8> {
    ip6(6, &tcp(HELLO))
}

/// Every stack of layers that is followed: name, link type, frame, number of IP headers around the innermost.
pub(crate) fn stacks() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let mut all = links();
    all.extend(tags());
    all.extend(wireless());
    all.extend(tunnels());
    all.extend(overlays());
    all
}

fn links() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let (four, six) = (inner4(), inner6());
    let frame = eth(0x0800, &four);
    let cooked = |hardware: u16, kind: u16, p: &[u8]| {
        cat(&[&[0, 0], &hardware.to_be_bytes(), &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &typed(kind, p)])
    };
    let pktap = |dlt: u32, p: &[u8]| {
        let mut h = vec![0; 108];
        h[0] = 108;
        h[4] = 1;
        h[8..12].copy_from_slice(&dlt.to_le_bytes());
        cat(&[&h, p])
    };
    let nflog = cat(&[&[2, 0, 0, 0], &[5, 0, 10, 0, 7, 0, 0, 0], &[49, 0, 9, 0], &four, &[0; 3]]);
    let erf =
        cat(&[&[0; 8], &[0x82, 4, 0, 0, 0, 0], &63_u16.to_be_bytes(), &[3; 8], &[0, 0], &frame, &[0; 4]]);
    let juniper = |ext: &[u8], flags: u8, p: &[u8]| cat(&[b"MGC", &[flags], ext, p]);
    vec![
        ("null, little-endian", 0, cat(&[&[2, 0, 0, 0], &four]), 0),
        ("null, big-endian, IPv6", 0, cat(&[&[0, 0, 0, 30], &six]), 0),
        ("loop", 108, cat(&[&[0, 0, 0, 2], &four]), 0),
        ("raw", 101, four.clone(), 0),
        ("raw IPv6", 101, six.clone(), 0),
        ("IPv4", 228, four.clone(), 0),
        ("IPv6", 229, six.clone(), 0),
        ("PPP", 9, typed(0x0021, &four), 0),
        ("PPP, short protocol", 9, cat(&[&[0xff, 3, 0x57], &six]), 0),
        ("PPP or Cisco HDLC", 50, cat(&[&[0x0f, 0], &typed(0x0800, &four)]), 0),
        ("PPP with direction", 204, cat(&[&[1, 0xff, 3], &typed(0x0021, &four)]), 0),
        ("Cisco HDLC", 104, cat(&[&[0x8f, 0], &typed(0x86dd, &six)]), 0),
        ("frame relay, NLPID", 107, cat(&[&[0x18, 0x41, 3, 0xcc], &four]), 0),
        ("frame relay, SNAP", 107, cat(&[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0], &typed(0x0800, &four)]), 0),
        ("frame relay, Cisco", 107, cat(&[&[0x18, 0x41], &typed(0x0800, &four)]), 0),
        ("ATM, LLC", 100, snap([0, 0, 0], 0x0800, &four), 0),
        ("ATM, bridged", 100, snap([0, 0x80, 0xc2], 7, &cat(&[&[0, 0], &frame])), 0),
        ("ATM, no header", 100, four.clone(), 0),
        ("SunATM", 123, cat(&[&[2, 0, 0, 5], &snap([0, 0, 0], 0x0800, &four)]), 0),
        ("cooked", 113, cooked(1, 0x0800, &four), 0),
        ("cooked, GRE device", 113, cooked(778, 0x6558, &frame), 0),
        ("cooked 2", 276, cat(&[&[0x86, 0xdd], &[0; 6], &[0, 1, 0, 6], &[0; 8], &six]), 0),
        ("NFLOG", 239, nflog, 0),
        ("PKTAP, Ethernet", 258, pktap(1, &frame), 0),
        ("PKTAP, raw", 258, pktap(12, &four), 0),
        ("IPNET", 226, cat(&[&[1, 2], &[0; 22], &four]), 0),
        ("enc", 109, cat(&[&[2, 0, 0, 0], &[0; 8], &four]), 0),
        ("pflog", 117, cat(&[&[61, 2], &[0; 62], &four]), 0),
        ("token ring", 6, cat(&[&[0x10, 0x40], &MACS, &snap([0, 0, 0], 0x0800, &four)]), 0),
        ("FDDI", 10, cat(&[&[0x50], &MACS, &snap([0, 0, 0], 0x0800, &four)]), 0),
        ("IP over fibre channel", 122, cat(&[&[0; 16], &snap([0, 0, 0], 0x0800, &four)]), 0),
        ("IEEE 1394", 138, cat(&[&[0; 16], &typed(0x0800, &four)]), 0),
        ("InfiniBand", 242, cat(&[&[0; 40], &typed(0x0800, &[0, 0]), &four]), 0),
        ("DOCSIS", 143, cat(&[&[0, 0, 0, 0, 0, 0], &frame, &[0; 4]]), 0),
        ("ERF", 197, erf, 0),
        ("NetAnalyzer", 240, cat(&[&[0; 4], &frame, &[0; 4]]), 0),
        ("EPON", 259, cat(&[&[0x55; 8], &frame]), 0),
        ("Broadcom tag", 281, cat(&[&MACS, &[0, 0, 0, 1], &typed(0x0800, &four)]), 0),
        ("Broadcom tag before", 282, cat(&[&[0, 0, 0, 1], &frame]), 0),
        ("DSA", 284, cat(&[&MACS, &[0xc0, 0, 0, 1], &typed(0x0800, &four)]), 0),
        ("EDSA", 285, cat(&[&MACS, &[0xda, 0xda, 0, 0, 0xc0, 0, 0, 1], &typed(0x0800, &four)]), 0),
        ("Juniper Ethernet", 178, juniper(&[0, 6, 1, 1, 0, 2, 1, 4], 0x80, &frame), 0),
        ("Juniper, no link header", 178, juniper(&[], 2, &cat(&[&[2, 0, 0, 0], &four])), 0),
        ("Juniper PPP", 179, juniper(&[], 0, &typed(0x0021, &four)), 0),
        ("Juniper services", 136, juniper(&[], 0, &cat(&[&[0x21; 4], &four])), 0),
        ("SLIP", 8, cat(&[&[0; 16], &four]), 0),
    ]
}

fn tags() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let (four, six) = (inner4(), inner6());
    let frame = eth(0x0800, &four);
    let pseudowire = |word: &[u8]| eth(0x8847, &label(16, false, &label(17, true, &cat(&[word, &frame]))));
    let pppoe = |p: &[u8]| cat(&[&[0x11, 0, 0, 1], &typed(p.len() as u16, p)]);
    let short = cat(&[&[0x20, 47, 0, 0, 0, 1], &[7; 8], &typed(0x0800, &four), &[9; 20]]);
    let ddd = |len: u16, p: &[u8]| cat(&[&MACS, &typed(len, p)]);
    let llc = snap([0, 0, 0], 0x0800, &four);
    vec![
        ("Ethernet", 1, frame.clone(), 0),
        ("Ethernet, IPv6", 1, eth(0x86dd, &six), 0),
        ("802.3, SNAP, padded", 1, cat(&[&ddd(llc.len() as u16, &llc), &[0; 9]]), 0),
        ("802.3, IP by LLC", 1, ddd(48, &cat(&[&[6, 6, 3], &four])), 0),
        ("VLAN", 1, eth(0x8100, &tag(5, 0x0800, &four)), 0),
        ("VLAN in VLAN", 1, eth(0x88a8, &tag(5, 0x8100, &tag(6, 0x86dd, &six))), 0),
        ("three VLANs", 1, eth(0x9100, &tag(5, 0x8100, &tag(6, 0x8100, &tag(7, 0x0800, &four)))), 0),
        ("VLAN, SNAP", 1, eth(0x8100, &tag(5, llc.len() as u16, &llc)), 0),
        ("VN-tag", 1, eth(0x8926, &cat(&[&[0; 4], &typed(0x0800, &four)])), 0),
        ("E-tag", 1, eth(0x893f, &cat(&[&[0; 6], &typed(0x0800, &four)])), 0),
        ("Cisco metadata", 1, eth(0x8909, &cat(&[&[1, 1, 0, 1, 0, 9], &typed(0x0800, &four)])), 0),
        ("HSR", 1, eth(0x892f, &cat(&[&[0; 4], &typed(0x0800, &four)])), 0),
        ("PBB", 1, eth(0x88e7, &cat(&[&[0, 0, 0, 1], &frame])), 0),
        ("FabricPath", 1, eth(0x8903, &cat(&[&[0, 0x40], &frame])), 0),
        ("TRILL", 1, eth(0x22f3, &cat(&[&[0, 0, 0, 1, 0, 2], &frame])), 0),
        ("ISL", 1, cat(&[&[1, 0, 0x0c, 0, 0, 0], &[0; 20], &frame, &[0; 4]]), 0),
        ("MACsec, integrity only", 1, eth(0x88e5, &short), 0),
        ("Realtek tag", 1, eth(0x8899, &cat(&[&[0xa0, 1], &typed(0x0800, &four)])), 0),
        ("batman-adv", 1, eth(0x4305, &cat(&[&[0x40, 15], &[0; 8], &frame])), 0),
        ("MPLS", 1, eth(0x8847, &label(16, false, &label(17, true, &four))), 0),
        ("MPLS, IPv6", 1, eth(0x8848, &label(2, true, &six)), 0),
        ("MPLS pseudowire", 1, pseudowire(&[]), 0),
        ("MPLS pseudowire, control word", 1, pseudowire(&[0; 4]), 0),
        ("PPPoE", 1, eth(0x8864, &pppoe(&typed(0x0021, &four))), 0),
        ("PPPoE, IPv6", 1, eth(0x8864, &pppoe(&typed(0x0057, &six))), 0),
        ("NSH", 1, eth(0x894f, &cat(&[&[0, 0x42, 1, 1], &[0; 4], &four])), 0),
    ]
}

fn wireless() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let llc = snap([0, 0, 0], 0x0800, &inner4());
    let frame = wlan(false, &llc);
    let flags = |f: u8| cat(&[&[0, 0, 9, 0, 2, 0, 0, 0, f]]);
    let padded = cat(&[&wlan(true, &[0, 0]), &llc]);
    let subframe = cat(&[&MACS, &typed(llc.len() as u16, &llc)]);
    let mut aggregate = wlan(true, &subframe);
    aggregate[24] = 0x80;
    let mut four_addresses = cat(&[&wlan(false, &[2, 0, 0, 0, 0, 4]), &llc]);
    four_addresses[1] = 3;
    let ppi = cat(&[&[0, 0, 8, 0, 105, 0, 0, 0], &frame]);
    let avs = cat(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56], &frame]);
    let prism = cat(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], &frame]);
    vec![
        ("802.11", 105, frame.clone(), 0),
        ("802.11, QoS", 105, wlan(true, &llc), 0),
        ("802.11, four addresses", 105, four_addresses, 0),
        ("802.11, A-MSDU", 105, aggregate, 0),
        ("radiotap", 127, cat(&[&[0, 0, 8, 0, 0, 0, 0, 0], &frame]), 0),
        ("radiotap, checksum", 127, cat(&[&flags(0x10), &frame, &[0; 4]]), 0),
        ("radiotap, padded header", 127, cat(&[&flags(0x20), &padded]), 0),
        ("PPI", 192, ppi, 0),
        ("Prism", 119, prism, 0),
        ("AVS", 163, avs, 0),
    ]
}

fn tunnels() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let (four, six) = (inner4(), inner6());
    let frame = eth(0x0800, &four);
    let ip = |protocol: u8, p: &[u8]| eth(0x0800, &outer4(protocol, p));
    let ah = |next: u8, p: &[u8]| cat(&[&[next, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &[0; 12], p]);
    let hop = |p: &[u8]| eth(0x86dd, &ip6(0, &ext6(43, &ext6(60, &ext6(6, p)))));
    let erspan_3 = |o: u8, pad: usize| cat(&[&[0x20, 0], &[0; 9], &[o], &vec![0; pad], &frame]);
    let mut routed = gre([0x40, 0], 4, 0x0800, &[]);
    routed.extend(cat(&[&[8, 0, 0, 4], &[0; 4], &[0; 4], &four]));
    let ppp = typed(0x0021, &four);
    vec![
        ("IP in IP", 1, ip(4, &four), 1),
        ("6in4", 1, ip(41, &six), 1),
        ("4in6", 1, eth(0x86dd, &ip6(4, &four)), 1),
        ("6in6in6", 1, eth(0x86dd, &ip6(41, &ip6(41, &six))), 2),
        ("IPv6 extension headers", 1, hop(&tcp(HELLO)), 0),
        ("IPv6, atomic fragment", 1, eth(0x86dd, &ip6(44, &frag6(6, 0, false, &tcp(HELLO)))), 0),
        ("AH", 1, eth(0x0800, &ip4(51, &ah(6, &tcp(HELLO)))), 0),
        ("AH, tunnel mode", 1, ip(51, &ah(4, &four)), 1),
        ("GRE", 1, ip(47, &gre([0, 0], 0, 0x0800, &four)), 1),
        ("GRE, all fields", 1, ip(47, &gre([0xb0, 0], 12, 0x86dd, &six)), 1),
        ("GRE, routed", 1, ip(47, &routed), 1),
        ("GRE, Ethernet (NVGRE)", 1, ip(47, &gre([0x20, 0], 4, 0x6558, &frame)), 1),
        ("GRE, PPTP", 1, ip(47, &gre([0x30, 0x81], 12, 0x880b, &ppp)), 1),
        ("GRE, MikroTik", 1, ip(47, &gre([0x20, 1], 4, 0x6400, &frame)), 1),
        ("GRE, MPLS", 1, ip(47, &gre([0, 0], 0, 0x8847, &label(9, true, &four))), 1),
        ("GRE, WCCP", 1, ip(47, &gre([0, 0], 0, 0x883e, &cat(&[&[0, 1, 2, 3], &four]))), 1),
        ("GRE, Aruba", 1, ip(47, &gre([0, 0], 0, 0x8200, &wlan(false, &snap([0, 0, 0], 0x0800, &four)))), 1),
        ("ERSPAN I", 1, ip(47, &gre([0, 0], 0, 0x88be, &frame)), 1),
        ("ERSPAN II", 1, ip(47, &gre([0x10, 0], 4, 0x88be, &cat(&[&[0x10, 0], &[0; 6], &frame]))), 1),
        ("ERSPAN III", 1, ip(47, &gre([0x10, 0], 4, 0x22eb, &erspan_3(0, 0))), 1),
        ("ERSPAN III, platform", 1, ip(47, &gre([0x10, 0], 4, 0x22eb, &erspan_3(1, 8))), 1),
        ("EtherIP", 1, ip(97, &cat(&[&[0x30, 0], &frame])), 1),
        ("SRv6 Ethernet", 1, eth(0x86dd, &ip6(143, &frame)), 1),
        ("MPLS in IP", 1, ip(137, &label(9, true, &four)), 1),
        ("L2TPv3", 1, ip(115, &cat(&[&[0, 0, 0, 1], &[0x77; 4], &frame])), 1),
        ("PIM register", 1, ip(103, &cat(&[&[0x21, 0, 0, 0, 0, 0, 0, 0], &four])), 1),
    ]
}

fn overlays() -> Vec<(&'static str, u16, Vec<u8>, u8)> {
    let (four, six) = (inner4(), inner6());
    let frame = eth(0x0800, &four);
    let on = |port: u16, p: &[u8]| eth(0x0800, &outer4(17, &udp(50_000, port, p)));
    let wifi = wlan(false, &snap([0, 0, 0], 0x0800, &four));
    let mut swapped = wifi.clone();
    swapped.swap(0, 1);
    let gtp = |flags: u8, extra: &[u8], p: &[u8]| {
        let length = ((extra.len() + p.len()) as u16).to_be_bytes();
        cat(&[&[flags, 255], &length, &[0, 0, 0, 1], extra, p])
    };
    let vxlan = |flags: u8, next: u8, p: &[u8]| cat(&[&[flags, 0, 0, next, 0, 0, 1, 0], p]);
    let ppp = cat(&[&[0xff, 3], &typed(0x0021, &four)]);
    let geneve = cat(&[&[1, 0, 0x65, 0x58, 0, 0, 1, 0], &[0; 4], &frame]);
    let teredo = cat(&[&[0, 1, 0, 0], &[0; 9], &[0, 0, 1, 2, 3, 4, 5, 6], &six]);
    let ayiya = cat(&[&[0x41, 0x52, 0x11, 41, 0, 0, 0, 0], &[0; 16], &[0; 20], &six]);
    vec![
        ("VXLAN", 1, on(4789, &vxlan(8, 0, &frame)), 1),
        ("VXLAN, reserved bits set", 1, on(4789, &vxlan(0xff, 0xf2, &frame)), 1),
        ("VXLAN, Linux port", 1, on(8472, &vxlan(8, 0, &frame)), 1),
        ("VXLAN-GPE", 1, on(4790, &vxlan(0x0c, 2, &six)), 1),
        ("VXLAN-GPE, NSH", 1, on(4790, &vxlan(0x0c, 4, &cat(&[&[0, 2, 2, 3], &[0; 4], &frame]))), 1),
        ("Geneve", 1, on(6081, &geneve), 1),
        ("GTP-U", 1, on(2152, &gtp(0x30, &[], &four)), 1),
        ("GTP-U, sequence", 1, on(2152, &gtp(0x32, &[0, 1, 0, 0], &six)), 1),
        ("GTP-U, extension", 1, on(2152, &gtp(0x34, &[0, 0, 0, 0x85, 1, 0, 9, 0], &four)), 1),
        ("GTP, version 0", 1, on(2152, &cat(&[&[0x1e, 255], &[0; 18], &four])), 1),
        ("Teredo", 1, on(3544, &six), 1),
        ("Teredo, both headers", 1, on(3544, &teredo), 1),
        ("L2TP", 1, on(1701, &cat(&[&[0, 2, 0, 1, 0, 1], &ppp])), 1),
        (
            "L2TP, all fields",
            1,
            on(1701, &cat(&[&[0x4a, 2, 0, 70, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0], &ppp])),
            1,
        ),
        ("L2TPv3 in UDP", 1, on(1701, &cat(&[&[0, 3, 0, 0, 0, 0, 0, 1], &frame])), 1),
        ("LISP", 1, on(4341, &cat(&[&[0; 8], &four])), 1),
        ("AYIYA", 1, on(5072, &ayiya), 1),
        ("GRE in UDP", 1, on(4754, &gre([0, 0], 0, 0x0800, &four)), 1),
        ("MPLS in UDP", 1, on(6635, &label(9, true, &four)), 1),
        ("CAPWAP, 802.11", 1, on(5247, &cat(&[&[0, 0x10, 3, 0, 0, 0, 0, 0], &wifi])), 1),
        ("CAPWAP, swapped", 1, on(5247, &cat(&[&[0, 0x10, 3, 0, 0, 0, 0, 0], &swapped])), 1),
        ("CAPWAP, 802.3", 1, on(5247, &cat(&[&[0, 0x10, 2, 0, 0, 0, 0, 0], &frame])), 1),
        ("LWAPP", 1, on(12222, &cat(&[&[0, 0, 0, 90, 0, 0], &swapped])), 1),
        ("TZSP", 1, on(37008, &cat(&[&[1, 0, 0, 1, 0, 10, 1, 5, 1], &frame])), 1),
        ("GTP, Teredo", 1, on(2152, &gtp(0x30, &[], &outer4(17, &udp(3544, 5000, &six)))), 2),
    ]
}
