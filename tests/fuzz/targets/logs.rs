//! Lines of flow logs, in every format.

use egret::history::cells::Cells;
use egret::history::entry::{Entry, Maker};
use egret::history::sheet::Sheet;
use egret::history::zeek::Zeek;
use egret::history::{json, value};

/// Lines of Zeek's TSV with headers among them.
pub(super) fn zeek(bytes: &[u8]) {
    let (mut maker, mut cells, mut zeek) = (Maker::default(), Cells::default(), Zeek::default());
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(Some(kind)) = zeek.line(line, &mut cells) {
            judge(maker.entry(kind, &cells, line).ok());
        }
    }
}

pub(super) fn zeek_seeds() -> Vec<Vec<u8>> {
    let head = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n";
    let conn = "#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t\
                orig_bytes\tresp_bytes\tconn_state\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tvlan\n\
                1767571230.634313\tCfa7\t2001:db8:20:2::1102\t46419\t10.0.0.2\t443\ttcp\tssl\t6.778645\t8456\t3848\t\
                SF\t12\tShADadFf\t13\t9132\t7\n";
    let dns = "#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\trcode_name\t\
               answers\tTTLs\n1767571230.6\tD1\t10.0.0.1\t5\t10.0.0.53\t53\tudp\ta.example\tNOERROR\t\
               x\\x2cy,192.0.2.1,::1\t1.0,2.5\n";
    let dhcp = "#path\tdhcp\n#fields\tts\tmac\thost_name\tassigned_addr\tlease_time\tmsg_types\n\
                1767571230.6\t02:a6:27:99:99:47\th\t10.0.0.1\t600.0\tREQUEST,ACK\n";
    [conn, dns, dhcp].iter().map(|log| format!("{head}{log}").into_bytes()).collect()
}

/// Lines of proxies and firewalls, as the first of them says.
pub(super) fn sheet(bytes: &[u8]) {
    let Some(mut sheet) = Sheet::of(bytes.split(|b| *b == b'\n').next().unwrap_or_default()) else { return };
    let (mut maker, mut cells) = (Maker::default(), Cells::default());
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(Some(kind)) = sheet.line(line, &mut cells) {
            judge(maker.entry(kind, &cells, line).ok());
        }
    }
}

pub(super) fn sheet_seeds() -> Vec<Vec<u8>> {
    let squid = "1767571230.634 1500 10.0.0.1 TCP_TUNNEL/200 512 CONNECT a.example:443 ann HIER_DIRECT/203.0.113.9 - 9\n";
    let elff = "#Fields: date time time-taken c-ip cs-bytes sc-bytes cs-host r-ip\n\
                2026-01-05 00:00:30 300 10.0.0.1 9 5 a.example \"203.0.113.9\"\n";
    let forti = "date=2026-01-05 time=00:00:30 eventtime=1767571230000000000 logid=\"0000000013\" type=\"traffic\" \
                 srcip=10.0.0.1 srcport=5 dstip=203.0.113.9 dstport=443 sessionid=7 proto=6 duration=30 sentbyte=9 rcvdbyte=5\n";
    let palo = "<14>Jan  5 00:00:30 fw 1,2026/01/05 00:00:30,0,TRAFFIC,end,0,2026/01/05 00:00:30,10.0.0.1,203.0.113.9,,,,,,\
                ssl,,,,,,,,77,1,5,443,0,0,0,tcp,allow,14,9,5,9,2026/01/05 00:00:00,30\n";
    let umbrella = "\"2026-01-05 00:00:00\",\"ann\",\"10.0.0.1\",\"\",\"203.0.113.9\",\"\",\"\",\"https://a.example/\",\"\",\"\",\"200\",\
                    \"9\",\"5\"\n";
    let zscaler = "2026-01-05 00:00:30\tproduct=NSS\trequestsize=9\tresponsesize=5\tClientIP=10.0.0.1\thostname=a.example\n";
    [squid, elff, forti, palo, umbrella, zscaler].iter().map(|log| log.as_bytes().to_vec()).collect()
}

/// Lines of JSON.
pub(super) fn json(bytes: &[u8]) {
    let (mut maker, mut cells) = (Maker::default(), Cells::default());
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(kind) = json::line(line, &mut cells, None) {
            judge(maker.entry(kind, &cells, line).ok());
        }
        let _ = (value::time(line), value::address(line), value::mac(line), value::span(line));
    }
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    let flow = r#"{"timestamp":"2026-01-05T00:01:03.000000+0000","flow_id":7,"event_type":"flow","src_ip":"10.0.0.1",
        "src_port":4,"dest_ip":"192.0.2.9","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":10,
        "bytes_toserver":5000660,"start":"2026-01-05T00:00:00+0000","end":"2026-01-05T00:00:03.5Z","state":"closed"}}"#;
    let dns = r#"{"timestamp":"2026-01-05T00:00:01Z","event_type":"dns","src_ip":"::1","dest_ip":"::2","proto":"UDP",
        "dns":{"type":"answer","rcode":"NOERROR","rrname":"a.b","answers":[{"ttl":3,"rdata":"192.0.2.1"}]}}"#;
    let zeek = r#"{"_path":"conn","ts":1767571200.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":4,"id.resp_h":"::",
        "proto":"udp","duration":1e-06,"orig_bytes":5,"vlan":null,"history":"D"}"#;
    [flow, dns, zeek].iter().map(|line| line.replace('\n', " ").into_bytes()).collect()
}

/// What holds of every entry.
fn judge(entry: Option<Entry>) {
    let Some(entry) = entry else { return };
    if let Entry::Flow(flow) = &entry {
        assert!(flow.first <= flow.last && flow.gap.up <= flow.bytes.up && flow.gap.down <= flow.bytes.down);
    }
    let years = entry.written().map(|at| at.secs() / 31_556_952);
    assert!(years.is_none_or(|years| (10..232).contains(&years)), "{years:?}");
}
