//! What reaches whom, and how many at a time.

use std::time::Duration;

use crate::common::*;
use crate::stage::*;
use otp_core::event::{Event, EventKind};
use otp_core::store::{FromRecord, Kind};
use otp_core::*;
use serde_json::json;

#[test]
fn an_event_arrives_signed_and_says_whom_it_is_about() {
    let stage = Stage::new();
    let created = stage.endpoint_with(&["otp.verified"], |new| {
        new.headers = vec![("Authorization".to_owned(), "Basic YTpi".to_owned())];
    });
    let asked = stage.world.ask_for(&stage.acme, "Ann@example.org");
    let mut verification = OtpVerification::of(asked.id, &asked.code);
    verification.client = Client { user_agent: Some("Shop/1".to_owned()), ..from_ip("198.51.100.7") };
    let signed_in = stage.world.verify(&stage.acme, verification).unwrap();
    assert_eq!(stage.deliver().sent, 1);
    let received = stage.receiver.last();
    received.verify(&secret_of(&created), stage.world.now()).unwrap();
    assert_eq!((received.url.as_str(), stage.receiver.count()), (URL, 1));
    assert_eq!(received.header("x-otp-event"), "otp.verified");
    assert_eq!(received.header("authorization"), "Basic YTpi");
    let body = received.json();
    assert_eq!(body["id"], received.header("webhook-id"));
    assert_eq!((&body["event"], &body["type"]), (&json!("otp.verified"), &json!("otp.verified")));
    assert_eq!(body["customerId"], json!(stage.acme.space().tenant));
    assert_eq!(body["mode"], "live");
    assert_eq!(body["timestamp"], stage.world.now().to_string());
    assert_eq!(
        body["data"],
        json!({
            "challengeId": asked.id, "purpose": "login", "userId": signed_in.user_id, "email": "Ann@example.org",
            "phone": null, "ipAddress": "198.51.100.7", "userAgent": "Shop/1",
        })
    );
}

#[test]
fn every_event_of_a_sign_in_has_the_fields_that_its_schema_tells_of() {
    let stage = Stage::new();
    stage.endpoint(&["*"]);
    stage.logs_out();
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.world.say(&stage.acme, asked.id, &wrong(&asked.code, 1)).unwrap_err();
    stage.deliver();
    let bodies: Vec<_> = stage.receiver.all().iter().map(Received::json).collect();
    for body in &bodies {
        let kind = EventKind::ALL.iter().find(|kind| body["event"] == kind.as_str()).unwrap();
        let required = kind.schema()["properties"]["data"]["required"].as_array().unwrap().clone();
        let mut required: Vec<_> = required.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        required.sort();
        let told: Vec<_> = body["data"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(told, required, "{}", kind.as_str());
    }
    let mut names: Vec<_> = bodies.iter().map(|body| body["event"].as_str().unwrap()).collect();
    names.sort();
    names.dedup();
    let all = ["otp.failed", "otp.requested", "otp.verified", "user.created", "user.logged_in", "user.logged_out"];
    assert_eq!(names, all);
}

/// Both or neither, whatever breaks.
#[test]
fn an_event_waits_in_the_outbox_of_its_commit_until_its_deliveries_are_written() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.endpoint_with(&["*"], |new| new.url = "https://b.acme.example".to_owned());
    stage.endpoint(&["otp.verified"]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let commits = stage.world.store.commits.lock().unwrap().clone();
    let of_request = commits.iter().find(|changes| kinds(&changes.puts).contains(&Kind::Challenge)).unwrap();
    let told: Vec<&Event> = of_request.puts.iter().filter_map(Event::of).collect();
    assert_eq!((told.len(), told[0].endpoints.len(), told[0].due.at), (1, 2, Some(stage.world.now())));

    stage.world.store.fail(Fault::Unsettled);
    assert!(stage.claim().is_err());
    stage.world.store.mend();
    assert_eq!((stage.deliver(), stage.deliveries().len()), (Delivered::default(), 0), "it is under a lease");
    stage.world.clock.advance(MINUTE);
    assert_eq!((stage.deliver().sent, stage.deliveries().len()), (2, 2));
    assert_eq!(stage.deliver(), Delivered::default());
}

/// What was sent and not written down is sent again, under the same id, and is one delivery all the same.
#[test]
fn an_event_to_one_endpoint_stays_in_the_outbox_until_it_was_told() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.proven_quick();
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let mut runs = stage.claim().unwrap();
    let lost = wait(stage.world.service.send_next(&mut runs[0])).unwrap().unwrap();
    assert_eq!((stage.receiver.count(), stage.deliveries().len()), (2, 1));
    drop((lost, runs));
    assert_eq!(stage.deliver(), Delivered::default(), "it is under a lease");
    stage.world.clock.advance(MINUTE);
    assert_eq!(stage.deliver().sent, 1);
    let ids: Vec<_> = stage.receiver.all().iter().map(|received| received.header("webhook-id").to_owned()).collect();
    assert!(ids.len() == 3 && ids[1] == ids[2], "{ids:?}");
    let deliveries = stage.deliveries();
    assert_eq!((deliveries[0].attempts.len(), deliveries.len()), (1, 2));
    stage.world.clock.advance(DAY);
    assert_eq!(stage.deliver(), Delivered::default());
}

/// What goes to an endpoint that may take its time has to be written down first; what goes to a quick one does not wait for that.
#[test]
fn what_is_quick_leaves_before_anything_is_written_down() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.proven_quick();
    stage.endpoint_with(&["otp.failed"], |new| new.url = "https://b.acme.example".to_owned());
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.world.say(&stage.acme, asked.id, &wrong(&asked.code, 1)).unwrap_err();
    let mut claim = wait(stage.world.service.claim_webhooks(10)).unwrap();
    assert_eq!((claim.runs.len(), claim.unwritten.is_empty()), (1, false));
    let _sent = wait(stage.world.service.send_next(&mut claim.runs[0])).unwrap().unwrap();
    assert_eq!(stage.receiver.last().json()["event"], "otp.requested");
    let mut written = wait(stage.world.service.write_webhooks(claim.unwritten)).unwrap();
    assert_eq!((written.len(), stage.deliveries().len()), (1, 2));
    let _sent = wait(stage.world.service.send_next(&mut written[0])).unwrap().unwrap();
    assert_eq!(stage.receiver.last().json()["event"], "otp.failed");
}

/// While nobody sends what waits, it is kept for as long as any event, and no longer.
#[test]
fn an_event_goes_at_its_end_told_or_not() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let swept = || while wait(stage.world.service.sweep(100)).unwrap() > 0 {};
    stage.world.clock.advance(29 * DAY);
    swept();
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    stage.world.clock.advance(2 * DAY);
    swept();
    assert_eq!((stage.deliver().sent, stage.receiver.count()), (1, 1));
    assert_eq!(stage.receiver.last().json()["data"]["email"], json!("ben@example.org"));
}

/// What is told of somebody is not told any more once they are erased, also when it was claimed before.
#[test]
fn an_event_of_somebody_who_was_erased_stays_here() {
    let stage = Stage::new();
    stage.endpoint(&["user.created"]);
    let users = ["ann@example.org", "ben@example.org"].map(|who| stage.world.sign_in(&stage.acme, who).user_id);
    let mut runs = stage.claim().unwrap();
    wait(stage.world.service.erase_user(&stage.acme, users[0])).unwrap();
    stage.world.clock.advance(2 * SECOND);
    for run in &mut runs {
        let sent = wait(stage.world.service.send_next(run)).unwrap().unwrap();
        wait(stage.world.service.settle_webhooks(vec![sent])).unwrap();
    }
    assert_eq!((stage.receiver.count(), stage.deliveries().len()), (1, 1));
    assert_eq!(stage.receiver.last().json()["data"]["userId"], json!(users[1]));
}

/// Whoever is erased while an event is on its way leaves nothing behind, not even how it was answered.
#[test]
fn what_became_of_an_event_is_not_kept_of_somebody_who_is_gone() {
    let stage = Stage::new();
    stage.endpoint(&["user.created", "otp.requested"]);
    stage.proven_quick();
    let user = stage.world.sign_in(&stage.acme, "ann@example.org").user_id;
    let mut runs = stage.claim().unwrap();
    let sent = wait(stage.world.service.send_next(&mut runs[0])).unwrap().unwrap();
    wait(stage.world.service.erase_user(&stage.acme, user)).unwrap();
    wait(stage.world.service.settle_webhooks(vec![sent])).unwrap();
    assert_eq!((stage.receiver.count(), stage.deliveries().len()), (2, 1));
}

#[test]
fn nobody_is_told_of_what_nobody_asked_for_and_tenants_hear_only_of_their_own() {
    let stage = Stage::new();
    stage.endpoint(&["otp.failed"]);
    let (other, test) = (stage.world.live(), stage.world.caller(stage.acme.space().tenant, Mode::Test));
    for caller in [&other, &test, &stage.acme] {
        stage.world.request_to(caller, "ann@example.org").unwrap();
    }
    for caller in [&other, &test] {
        let asked = stage.world.ask_for(caller, "ben@example.org");
        stage.world.say(caller, asked.id, &wrong(&asked.code, 1)).unwrap_err();
    }
    stage.deliver();
    assert_eq!(stage.receiver.count(), 0);
    assert!(stage.world.committed::<Event>().iter().all(|event| event.due.at.is_none()));
}

#[test]
fn what_is_about_an_erased_user_is_not_sent_any_more() {
    let stage = Stage::new();
    stage.endpoint(&["user.created"]);
    stage.receiver.always(answer(500));
    let signed_in = stage.world.sign_in(&stage.acme, "ann@example.org");
    stage.deliver();
    assert_eq!((stage.receiver.count(), stage.deliveries().len()), (1, 1));
    wait(stage.world.service.erase_user(&stage.acme, signed_in.user_id)).unwrap();
    assert_eq!(stage.deliveries().len(), 0);
    stage.world.clock.advance(DAY);
    stage.deliver();
    assert_eq!(stage.receiver.count(), 1);
}

#[test]
fn a_limit_is_told_of_once_an_hour() {
    let stage = Stage::new();
    stage.endpoint(&["rate_limit.exceeded"]);
    let acme = stage.world.change(&stage.acme, |settings| settings.limits.per_recipient = 1);
    for to in ["ann@example.org", "ben@example.org"] {
        for _ in 0..4 {
            let _ = stage.world.request_to(&acme, to);
        }
    }
    stage.deliver();
    let told: Vec<_> = stage.receiver.all().iter().map(|received| received.json()["data"].clone()).collect();
    let mut to: Vec<_> = told.iter().map(|data| data["email"].as_str().unwrap()).collect();
    to.sort();
    assert_eq!(to, ["ann@example.org", "ben@example.org"]);
    assert_eq!((&told[0]["limitOf"], &told[0]["limit"]), (&json!("recipient"), &json!(1)));
    assert!(told[0]["resetAt"].as_str().unwrap().ends_with('Z'));
}

/// Two endpoints, of which one takes no more than so many: the other has all at once.
#[test]
fn an_endpoint_is_sent_no_more_in_a_second_than_it_wants() {
    let stage = Stage::new();
    let slow = "https://slow.acme.example/";
    stage.endpoint(&["otp.requested"]);
    stage.endpoint_with(&["otp.requested"], |new| (new.url, new.per_second) = (slow.to_owned(), Some(2)));
    for number in 0..20 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
    }
    let of = |url: &str| stage.receiver.all().iter().filter(|received| received.url == url).count();
    stage.deliver();
    assert_eq!(of(URL), 20);
    assert!(of(slow) <= 4, "{}", of(slow));
    for _ in 0..40 {
        stage.world.clock.advance(Duration::from_millis(500));
        stage.deliver();
    }
    assert_eq!(of(slow), 20);
}

/// It is not written down first to be put off then.
#[test]
fn what_has_no_place_is_put_off_as_it_is() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    for number in 0..5 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
    }
    let hanging = stage.claim().unwrap();
    stage.world.clock.advance(25 * SECOND);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let claim = wait(stage.world.service.claim_webhooks(10)).unwrap();
    assert_eq!((hanging.len(), claim.runs.len(), claim.put_off.len(), claim.unwritten.is_empty()), (4, 0, 1, true));
    assert_eq!(stage.deliveries().len(), 5);
    wait(stage.world.service.settle_webhooks(claim.put_off)).unwrap();
    let deliveries = stage.deliveries();
    assert_eq!(
        (deliveries.len(), deliveries[0].state, deliveries[0].attempts.len()),
        (6, webhook::DeliveryState::Pending, 0)
    );
    assert!(deliveries[0].due.at.is_some_and(|at| at > stage.world.now()));
}

#[test]
fn an_endpoint_that_hangs_has_four_requests_open_and_the_others_go_on() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    for number in 0..100 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
    }
    let hanging = stage.claim().unwrap();
    assert_eq!((stage.deliveries().len(), hanging.len()), (100, 4));
    assert_eq!(stage.world.service.waiting_webhooks(), 96);
    stage.endpoint_with(&["otp.failed"], |new| new.url = "https://b.acme.example".to_owned());
    let asked = stage.world.ask_for(&stage.acme, "ann@example.org");
    stage.world.say(&stage.acme, asked.id, &wrong(&asked.code, 1)).unwrap_err();
    stage.deliver();
    assert_eq!(stage.receiver.last().json()["event"], "otp.failed");

    // Whoever held them is gone: they are sent when the leases have ended.
    drop(hanging);
    for _ in 0..3 {
        stage.world.clock.advance(MINUTE);
        stage.deliver();
    }
    let mut ids: Vec<_> =
        stage.receiver.all().iter().map(|received| received.header("webhook-id").to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 102);
}
