//! Each rule by what it is for, and by what is nearly that.

use super::*;
use crate::detect::learn::ring::Growth;

const MB: u64 = 1_000_000;

/// A host that the sensor has known for weeks sends a megabyte to a storage service it uses every day.
fn sight(config: &DetectConfig) -> Sight<'_> {
    Sight {
        config,
        kind: Kind::Storage,
        part: Part::default(),
        day: (MB, MB / 10),
        connection: (0, 0),
        pushed: MB,
        count: 1,
        own_count: 1,
        days_used: 20,
        week: 7,
        largest: 40 * MB,
        host_days: 25,
        settled: true,
        hosts: (100, 0),
        name_age: 28.0,
        others: 0,
        pulled: 0,
        rhythm: (1, 3_600.0),
        host_total: (50 * MB, 100 * MB),
        guest: false,
        strange_address: false,
        from_hypervisor: 0,
        process: None,
        growth: Growth::default(),
        unit: 64.0,
    }
}

/// Names of the rules that speak.
fn speak(change: impl Fn(&mut Sight<'_>)) -> Vec<&'static str> {
    let config = DetectConfig::default();
    let mut s = sight(&config);
    change(&mut s);
    look(&s, true).into_iter().map(|(a, _)| a.name).collect()
}

#[test]
fn daily_work_is_nobodys_rule() {
    assert!(speak(|_| ()).is_empty());
}

#[test]
fn hypervisors_send_nothing_out() {
    let out = |bytes: u64| {
        move |s: &mut Sight<'_>| {
            s.part.hypervisor = true;
            s.day = (bytes, bytes / 50);
        }
    };
    assert_eq!(speak(out(50 * MB)), ["hypervisor_upload"]);
    assert!(speak(out(49 * MB)).is_empty());
    // Updates come down.
    assert!(speak(|s| (s.part.hypervisor, s.day) = (true, (50 * MB, 51 * MB))).is_empty());
    let config = DetectConfig::default();
    let mut first_day = sight(&config);
    out(50 * MB)(&mut first_day);
    assert_eq!(look(&first_day, false).len(), 1, "needs no past");
}

#[test]
fn a_gibibyte_to_where_anybody_may_upload() {
    let out =
        |bytes: u64| move |s: &mut Sight<'_>| (s.kind, s.day.0, s.pushed) = (Kind::Anonymous, bytes, bytes);
    assert_eq!(speak(out(1 << 30)), ["high_risk_volume"]);
    assert!(speak(out((1 << 30) - 1)).is_empty());
    assert!(speak(|s| (s.day.0, s.pushed) = (1 << 30, 1 << 30)).is_empty(), "no high risk");
}

#[test]
fn a_virtual_machine_begins_no_storage() {
    let base = |s: &mut Sight<'_>| {
        (s.guest, s.kind, s.days_used, s.week) = (true, Kind::Object, 0, 0);
        (s.day, s.pushed) = ((50 * MB, MB), 50 * MB);
    };
    let but = |change: fn(&mut Sight<'_>)| {
        speak(|s| {
            base(s);
            change(s);
        })
    };
    assert_eq!(speak(base), ["guest_upload"]);
    assert!(but(|s| s.guest = false).is_empty());
    assert!(but(|s| s.pushed = 49 * MB).is_empty());
    assert!(but(|s| s.days_used = 1).is_empty());
    assert!(but(|s| s.kind = Kind::Own).is_empty());
    let config = DetectConfig::default();
    let mut first_day = sight(&config);
    base(&mut first_day);
    first_day.settled = false;
    assert_eq!(look(&first_day, false)[0].1.severity, Severity::Low, "nothing is new on the first day");
}

#[test]
fn a_lot_over_one_connection_is_for_the_log() {
    let base = |s: &mut Sight<'_>| {
        (s.kind, s.days_used, s.week, s.connection) = (Kind::Unknown, 0, 0, (100 * MB, MB));
    };
    assert_eq!(speak(base), ["connection_volume"]);
    for change in [
        |s: &mut Sight<'_>| s.connection.0 = 100 * MB - 1,
        |s: &mut Sight<'_>| s.connection.1 = 200 * MB,
        |s: &mut Sight<'_>| s.days_used = 1,
    ] {
        assert!(
            speak(|s| {
                base(s);
                change(s);
            })
            .is_empty()
        );
    }
}

#[test]
fn a_name_of_many_at_an_address_of_none() {
    let base = |s: &mut Sight<'_>| {
        (s.strange_address, s.kind, s.hosts.0, s.name_age) = (true, Kind::Saas, 400, 20.0);
        (s.day, s.pushed, s.largest) = ((30 * MB, MB), 30 * MB, 5 * MB);
    };
    assert_eq!(speak(base), ["borrowed_name"]);
    for change in [
        |s: &mut Sight<'_>| s.strange_address = false,
        |s: &mut Sight<'_>| s.hosts.0 = 9,
        |s: &mut Sight<'_>| s.name_age = 1.0,
        |s: &mut Sight<'_>| s.largest = 11 * MB,
        |s: &mut Sight<'_>| s.pushed = MB,
        |s: &mut Sight<'_>| s.kind = Kind::Own,
    ] {
        assert!(
            speak(|s| {
                base(s);
                change(s);
            })
            .is_empty()
        );
    }
}

#[test]
fn nobody_begins_with_a_high_risk_service() {
    let base = |s: &mut Sight<'_>| {
        (s.kind, s.days_used, s.week) = (Kind::Anonymous, 0, 0);
        (s.day.0, s.pushed) = (50 * MB, 50 * MB);
    };
    assert_eq!(speak(base), ["risky_first_use"]);
    assert!(
        speak(|s| {
            base(s);
            s.day.0 = 50 * MB - 1;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.days_used = 1;
        })
        .is_empty()
    );
}

#[test]
fn servers_begin_no_storage() {
    let base = |s: &mut Sight<'_>| {
        (s.part.server, s.days_used, s.week) = (true, 0, 0);
        (s.day.0, s.pushed) = (100 * MB, 100 * MB);
    };
    assert_eq!(speak(base), ["server_first_seen"]);
    assert!(
        speak(|s| {
            base(s);
            s.days_used = 1;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.kind = Kind::Own;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.settled = false;
        })
        .is_empty(),
        "a server that is new itself"
    );
}

#[test]
fn posts_count_however_small() {
    let base = |s: &mut Sight<'_>| {
        (s.kind, s.count, s.own_count) = (Kind::Text, 6, 1);
        (s.day, s.pushed) = ((1_200, 600), 1_200);
    };
    assert_eq!(speak(base), ["repeated_posts"]);
    assert!(
        speak(|s| {
            base(s);
            s.count = 5;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.own_count = 3;
        })
        .is_empty(),
        "it posts so much every day"
    );
    // A reader fetches more than he sends: twice as many are wanted.
    assert!(
        speak(|s| {
            base(s);
            s.pushed = 0;
        })
        .is_empty()
    );
    assert_eq!(
        speak(|s| {
            base(s);
            s.pushed = 0;
            s.count = 12;
        }),
        ["repeated_posts"]
    );
}

#[test]
fn collected_inside_then_sent_out() {
    let base = |s: &mut Sight<'_>| {
        (s.pulled, s.day.0, s.pushed) = (300 * MB, 250 * MB, 250 * MB);
        (s.days_used, s.week) = (0, 0);
    };
    assert_eq!(speak(base), ["staged_upload"]);
    assert!(
        speak(|s| {
            base(s);
            s.pulled = 80 * MB;
        })
        .is_empty(),
        "much more than was fetched"
    );
    assert!(
        speak(|s| {
            base(s);
            s.days_used = 2;
        })
        .is_empty()
    );
}

#[test]
fn a_clock_sends() {
    let base = |s: &mut Sight<'_>| {
        (s.kind, s.rhythm, s.days_used, s.week) = (Kind::Nameless, (12, 60.0), 0, 0);
    };
    assert_eq!(speak(base), ["periodic_upload"]);
    assert!(
        speak(|s| {
            base(s);
            s.rhythm.0 = 11;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.kind = Kind::Saas;
        })
        .is_empty()
    );
}

#[test]
fn one_host_several_services() {
    let base = |s: &mut Sight<'_>| {
        (s.others, s.days_used, s.week) = (3, 0, 0);
        (s.day.0, s.pushed) = (10 * MB, 10 * MB);
    };
    assert_eq!(speak(base), ["many_services"]);
    assert!(
        speak(|s| {
            base(s);
            s.others = 2;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.pushed = 9 * MB;
        })
        .is_empty()
    );
}

#[test]
fn many_hosts_one_bucket() {
    let base = |s: &mut Sight<'_>| {
        (s.kind, s.hosts, s.name_age) = (Kind::Object, (5, 5), 0.5);
        (s.day.0, s.pushed, s.days_used, s.week) = (10 * MB, 10 * MB, 0, 0);
    };
    assert_eq!(speak(base), ["many_hosts"]);
    assert!(
        speak(|s| {
            base(s);
            s.hosts = (4, 4);
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.name_age = 3.0;
        })
        .is_empty()
    );
}

#[test]
fn a_new_habit() {
    let base = |s: &mut Sight<'_>| {
        (s.days_used, s.week, s.largest) = (6, 6, 60 * MB);
        (s.day.0, s.pushed) = (50 * MB, 50 * MB);
    };
    assert_eq!(speak(base), ["new_habit"]);
    assert!(
        speak(|s| {
            base(s);
            s.week = 5;
        })
        .is_empty()
    );
    assert!(
        speak(|s| {
            base(s);
            s.days_used = 20;
        })
        .is_empty(),
        "an old one"
    );
    assert!(
        speak(|s| {
            base(s);
            s.host_days = 7;
        })
        .is_empty(),
        "the host is as new as the habit"
    );
    assert!(
        speak(|s| {
            base(s);
            s.kind = Kind::Own;
        })
        .is_empty()
    );
}

#[test]
fn trained_up_day_by_day() {
    let base = |s: &mut Sight<'_>| {
        s.growth = Growth { n: 9, tau: 0.9, early: 4.5, late: 5.5, excess: 8e6 };
        s.week = 5;
    };
    assert_eq!(speak(base), ["trained_up"]);
    assert!(
        speak(|s| {
            base(s);
            s.growth.tau = 0.5;
        })
        .is_empty(),
        "up and down"
    );
    assert!(
        speak(|s| {
            base(s);
            s.growth.excess = 1e6;
        })
        .is_empty(),
        "little"
    );
}

#[test]
fn a_host_far_above_its_past() {
    let base = |s: &mut Sight<'_>| s.host_total = (2_000 * MB, 100 * MB);
    assert_eq!(speak(base), ["host_total"]);
    assert!(speak(|s| s.host_total = (2_000 * MB, 101 * MB)).is_empty());
    assert!(speak(|s| s.host_total = (1_999 * MB, MB)).is_empty());
}

#[test]
fn numbers_are_never_used_twice() {
    let mut ids: Vec<u32> = ANALYTICS.iter().map(|a| a.signature_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ANALYTICS.len());
}
