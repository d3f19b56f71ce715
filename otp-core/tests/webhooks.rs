//! Events reach the endpoints that want to hear of them, signed, at least once.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use otp_core::event::{Event, EventKind};
use otp_core::store::{FromRecord, Kind, Stored};
use otp_core::webhook::{Answer, Delivery, DeliveryState, EndpointState, Failure, Signing, WhyDisabled};
use otp_core::*;
use serde_json::json;

const URL: &str = "https://hooks.acme.example/otp";

struct Stage {
    world: World,
    receiver: Arc<Receiver>,
    acme: Caller,
}

impl Stage {
    fn new() -> Self {
        let receiver = Arc::new(Receiver::default());
        let world = World::with(|builder| builder.webhooks(receiver.clone()));
        let acme = world.unlimited();
        Self { world, receiver, acme }
    }

    fn endpoint(&self, events: &[&str]) -> EndpointSecret {
        self.endpoint_with(events, |_| ())
    }

    fn endpoint_with(&self, events: &[&str], change: impl FnOnce(&mut NewEndpoint)) -> EndpointSecret {
        let mut new = new_endpoint(events);
        change(&mut new);
        wait(self.world.service.create_endpoint(&self.acme, new)).unwrap().value
    }

    fn deliver(&self) -> Delivered {
        let mut sum = Delivered::default();
        loop {
            let round = wait(self.world.service.deliver_webhooks(100)).unwrap();
            if round == Delivered::default() {
                return sum;
            }
            sum += round;
        }
    }

    fn deliveries(&self) -> Vec<Delivery> {
        wait(self.world.service.deliveries(&self.acme, DeliveryQuery::default(), None, 200)).unwrap().items
    }

    fn view(&self, id: EndpointId) -> EndpointView {
        wait(self.world.service.endpoint(&self.acme, id)).unwrap()
    }

    fn edit(&self, id: EndpointId, edit: EditEndpoint) -> EndpointView {
        wait(self.world.service.edit_endpoint(&self.acme, id, edit)).unwrap()
    }

    fn enable(&self, id: EndpointId, enabled: bool) -> EndpointView {
        self.edit(id, EditEndpoint { enabled: Some(enabled), ..EditEndpoint::default() })
    }

    fn configure(&self, patch: serde_json::Value) -> Result<ConfigView, Error> {
        let serde_json::Value::Object(patch) = patch else { unreachable!() };
        wait(self.world.service.configure(&self.acme, patch, None))
    }

    fn logs_out(&self) {
        let signed_in = self.world.sign_in(&self.acme, "ann@example.org");
        let me = self.world.me(&signed_in).unwrap();
        wait(self.world.service.sign_out(&me, signed_in.session_id, &Client::default())).unwrap();
    }
}

fn new_endpoint(events: &[&str]) -> NewEndpoint {
    NewEndpoint {
        url: URL.to_owned(),
        description: String::new(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        signing: Signing::Hmac,
        secret: None,
        headers: Vec::new(),
        per_second: None,
        idempotency: None,
    }
}

fn secret_of(created: &EndpointSecret) -> String {
    created.secret.as_ref().unwrap().expose().to_owned()
}

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
    assert!(wait(stage.world.service.claim_webhooks(10)).is_err());
    stage.world.store.mend();
    assert_eq!((stage.deliver(), stage.deliveries().len()), (Delivered::default(), 0), "it is under a lease");
    stage.world.clock.advance(MINUTE);
    assert_eq!((stage.deliver().sent, stage.deliveries().len()), (2, 2));
    assert_eq!(stage.deliver(), Delivered::default());
}

/// What is told of somebody is not told any more once they are erased, also when it was claimed before.
#[test]
fn an_event_of_somebody_who_was_erased_stays_here() {
    let stage = Stage::new();
    stage.endpoint(&["user.created"]);
    let users = ["ann@example.org", "ben@example.org"].map(|who| stage.world.sign_in(&stage.acme, who).user_id);
    let mut claim = wait(stage.world.service.claim_webhooks(10)).unwrap();
    wait(stage.world.service.erase_user(&stage.acme, users[0])).unwrap();
    stage.world.clock.advance(2 * SECOND);
    for run in &mut claim.runs {
        let sent = wait(stage.world.service.send_next(run)).unwrap().unwrap();
        wait(stage.world.service.settle_webhooks(vec![sent])).unwrap();
    }
    assert_eq!((stage.receiver.count(), stage.deliveries().len()), (1, 1));
    assert_eq!(stage.receiver.last().json()["data"]["userId"], json!(users[1]));
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
fn a_refusal_is_tried_again_on_the_schedule_under_the_same_id() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.receiver.always(answer(500));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let waits = [5, 60, 300, 900, 3_600, 6 * 3_600, 24 * 3_600];
    for (number, wait) in waits.into_iter().enumerate() {
        assert_eq!((stage.deliver().retried, stage.receiver.count()), (1, number + 1));
        stage.world.clock.advance(SECOND * wait * 79 / 100);
        stage.deliver();
        assert_eq!(stage.receiver.count(), number + 1, "before {wait} s less a fifth");
        stage.world.clock.advance(SECOND * wait * 42 / 100);
    }
    assert_eq!(stage.deliver().failed, 1);
    stage.world.clock.advance(DAY * 2);
    stage.deliver();
    let ids: Vec<_> = stage.receiver.all().iter().map(|received| received.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.iter().all(|id| *id == ids[0]));
    let delivery = stage.deliveries().pop().unwrap();
    assert!(matches!(delivery.state, DeliveryState::Failed { .. }));
    assert_eq!(delivery.attempts.len(), 8);
    assert_eq!((delivery.attempts[0].status, delivery.attempts[0].answer.as_str()), (Some(500), "so  be it"));
}

#[test]
fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
    let busy = |status, seconds| Ok(Answer { status, retry_after: Some(SECOND * seconds), body: Vec::new() });
    for (answer, earliest, latest) in [
        (busy(429, 100), 100, 100),
        (busy(503, 100), 100, 100),
        (busy(503, 10 * 86_400), 86_400, 86_400),
        (busy(503, 0), 4, 6),
        (busy(500, 100), 4, 6),
    ] {
        let stage = Stage::new();
        stage.endpoint(&["otp.requested"]);
        stage.receiver.answers([answer]);
        stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
        stage.deliver();
        let delivery = stage.deliveries().pop().unwrap();
        let wait = delivery.due.at.unwrap().since(stage.world.now());
        assert!((SECOND * earliest..=SECOND * latest).contains(&wait), "{wait:?}");
    }
}

#[test]
fn redirects_and_failures_are_refusals_and_are_told_of() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    let failures =
        [Failure::Dns, Failure::Forbidden, Failure::Connect, Failure::Tls, Failure::Timeout, Failure::Broken];
    stage.receiver.answers([answer(301)]);
    stage.receiver.answers(failures.map(Err));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    for _ in 0..7 {
        stage.deliver();
        stage.world.clock.advance(HOUR * 8);
    }
    let delivery = stage.deliveries().pop().unwrap();
    assert_eq!(delivery.attempts[0].status, Some(301));
    let told: Vec<_> = delivery.attempts.iter().filter_map(|attempt| attempt.failure).collect();
    assert_eq!(told, failures);
}

#[test]
fn one_that_is_gone_is_given_up_at_once_and_its_owner_is_told() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.receiver.answers([answer(410)]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let state = stage.view(id).state;
    assert_eq!(state, EndpointState::Disabled { at: stage.world.now(), why: WhyDisabled::Gone });
    stage.world.deliver();
    let mail = stage.world.inbox.all().into_iter().find(|mail| mail.subject.contains("events are not sent")).unwrap();
    assert!(mail.text.contains(URL) && mail.to == "ops@acme.example", "{}", mail.text);
    let lines = stage.world.audit(stage.acme.space().tenant);
    assert_eq!(lines.iter().filter(|line| line.action.as_str() == "webhook_endpoint.disabled").count(), 1);

    // What happens meanwhile is held, and sent when it is asked for.
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 1);
    stage.enable(id, true);
    stage.deliver();
    assert_eq!(stage.receiver.count(), 1, "held until it is asked for");
    let since = stage.world.now() - HOUR;
    assert_eq!(wait(stage.world.service.recover_deliveries(&stage.acme, since, None)).unwrap(), 2);
    assert_eq!(stage.deliver().sent, 2);
    assert_eq!(wait(stage.world.service.recover_deliveries(&stage.acme, since, None)).unwrap(), 0);
}

#[test]
fn one_that_takes_nothing_for_five_days_is_given_up() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.receiver.always(answer(500));
    for hour in 0..5 * 24 {
        stage.world.request_to(&stage.acme, &format!("user{hour}@example.org")).unwrap();
        stage.deliver();
        assert_eq!(stage.view(id).state, EndpointState::Enabled, "after {hour} hours");
        stage.world.clock.advance(HOUR);
    }
    stage.deliver();
    assert!(matches!(stage.view(id).state, EndpointState::Disabled { why: WhyDisabled::Failing, .. }));
}

#[test]
fn one_success_in_between_is_enough_to_go_on() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    for hour in 0..6 * 24 {
        stage.receiver.always(answer(if hour == 60 { 200 } else { 500 }));
        stage.world.request_to(&stage.acme, &format!("user{hour}@example.org")).unwrap();
        stage.deliver();
        stage.world.clock.advance(HOUR);
    }
    assert_eq!(stage.view(id).state, EndpointState::Enabled);
}

/// However much is sent, hardly anything is written about how it went.
#[test]
fn health_is_noted_seldom() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    for number in 0..100 {
        stage.receiver.answers([answer(if number % 2 == 0 { 500 } else { 200 })]);
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
        wait(stage.world.service.deliver_webhooks(1)).unwrap();
    }
    assert!(stage.world.committed::<webhook::Endpoint>().len() <= 4);
}

#[test]
fn the_simple_endpoint_is_what_the_settings_say() {
    let stage = Stage::new();
    stage.configure(json!({"webhookConfig": {"url": URL, "events": ["otp.requested"]}})).unwrap();
    let test = stage.world.caller(stage.acme.space().tenant, Mode::Test);
    for caller in [&stage.acme, &test] {
        stage.world.request_to(caller, "ann@example.org").unwrap();
    }
    assert_eq!(stage.deliver().sent, 2);
    let mut modes: Vec<_> = stage.receiver.all().iter().map(|received| received.json()["mode"].to_string()).collect();
    modes.sort();
    assert_eq!(modes, ["\"live\"", "\"test\""]);
    let [simple] = wait(stage.world.service.endpoints(&stage.acme)).unwrap().try_into().unwrap();
    assert!(simple.is_simple && simple.mode.is_none() && simple.url == URL);

    // It can be paused, and everything else is set where it is set.
    assert_eq!(stage.enable(simple.id, false).state, EndpointState::Paused);
    let moved = EditEndpoint { url: Some("https://a.example".to_owned()), ..EditEndpoint::default() };
    assert_eq!(refusal(wait(stage.world.service.edit_endpoint(&stage.acme, simple.id, moved))), "conflict");
    assert_eq!(refusal(wait(stage.world.service.delete_endpoint(&stage.acme, simple.id))), "conflict");
    stage.configure(json!({"webhookConfig": {"url": "https://b.example"}})).unwrap();
    assert_eq!(stage.view(simple.id).state, EndpointState::Enabled, "at another URL it begins anew");
    stage.configure(json!({"webhookConfig": {"url": null}})).unwrap();
    assert_eq!(refusal(wait(stage.world.service.endpoint(&stage.acme, simple.id))), "not_found");
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
}

#[test]
fn old_and_new_secret_sign_for_a_day() {
    let new_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let stage = Stage::new();
    let created = stage.endpoint(&["otp.requested"]);
    let old = secret_of(&created);
    let given = Secret::from(new_secret.to_owned());
    let rotated =
        wait(stage.world.service.rotate_endpoint_secret(&stage.acme, created.endpoint.id, Some(given), None, None));
    assert_eq!(secret_of(&rotated.unwrap().value), new_secret);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    for secret in [new_secret, &old] {
        stage.receiver.last().verify(secret, stage.world.now()).unwrap();
    }
    let older: Vec<_> = stage.receiver.last().header("x-otp-signature").split(',').map(str::to_owned).collect();
    assert_eq!(older.len(), 3);
    stage.world.clock.advance(DAY);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    stage.receiver.last().verify(new_secret, stage.world.now()).unwrap();
    assert!(stage.receiver.last().verify(&old, stage.world.now()).is_err());
}

#[test]
fn the_secret_of_the_settings_overlaps_too_by_either_way() {
    let stage = Stage::new();
    stage.configure(json!({"webhookConfig": {"url": URL}})).unwrap();
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    stage.configure(json!({"webhookConfig": {"secret": first}})).unwrap();
    let [simple] = wait(stage.world.service.endpoints(&stage.acme)).unwrap().try_into().unwrap();
    let rotated = wait(stage.world.service.rotate_endpoint_secret(&stage.acme, simple.id, None, Some(HOUR), None));
    let second = secret_of(&rotated.unwrap().value);
    let shown = wait(stage.world.service.configuration(&stage.acme)).unwrap();
    let masked = shown.document["webhookConfig"]["secret"].as_str().unwrap().to_owned();
    assert!(second.ends_with(masked.trim_start_matches('•')));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    for secret in [first, &second] {
        stage.receiver.last().verify(secret, stage.world.now()).unwrap();
    }
    stage.world.clock.advance(HOUR);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    assert!(stage.receiver.last().verify(first, stage.world.now()).is_err());
}

#[test]
fn a_receiver_that_keeps_no_secret_gets_signatures_by_a_public_key() {
    let stage = Stage::new();
    let created = stage.endpoint_with(&["otp.requested"], |new| new.signing = Signing::Ed25519);
    assert!(created.secret.is_none());
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let received = stage.receiver.last();
    received.verify(&created.endpoint.public_key.unwrap(), stage.world.now()).unwrap();
    assert!(received.header("webhook-signature").starts_with("v1a,"));
    assert!(received.headers.iter().all(|(name, _)| name != "x-otp-signature"));
}

#[test]
fn a_made_up_event_is_sent_at_once_and_once() {
    let stage = Stage::new();
    let test = |event, endpoint| wait(stage.world.service.test_endpoint(&stage.acme, event, endpoint, None));
    assert_eq!(refusal(test(None, None)), "conflict");
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    let delivery = test(None, None).unwrap().value;
    assert!(matches!(delivery.state, DeliveryState::Delivered { .. }) && delivery.attempts.len() == 1);
    assert_eq!(stage.receiver.last().json()["event"], "webhook.test");
    assert_eq!(stage.receiver.last().json()["sample"], true);
    stage.enable(id, false);
    stage.receiver.answers([Err(Failure::Connect)]);
    let failed = test(Some(EventKind::UserCreated), Some(id)).unwrap().value;
    assert!(matches!(failed.state, DeliveryState::Failed { .. }));
    assert_eq!(stage.receiver.last().json()["data"]["email"], "ann@example.org");
    stage.world.clock.advance(DAY);
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
    assert!(stage.world.committed::<Event>().iter().all(|event| event.kind() != EventKind::UserCreated));
    assert_eq!(refusal(wait(stage.world.service.retry_delivery(&stage.acme, failed.id, None))), "conflict");
}

#[test]
fn a_delivery_is_sent_again_when_it_is_asked_for() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let id = stage.deliveries()[0].id;
    wait(stage.world.service.retry_delivery(&stage.acme, id, None)).unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
    let [first, second] = stage.receiver.all().try_into().unwrap();
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    let attempts = stage.deliveries().remove(0).attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.trigger.as_str()).collect::<Vec<_>>(), ["schedule", "manual"]);
    let other = stage.world.live();
    assert_eq!(refusal(wait(stage.world.service.delivery(&other, id))), "not_found");
    assert_eq!(refusal(wait(stage.world.service.retry_delivery(&other, id, None))), "not_found");
}

#[test]
fn lists_are_filtered_and_paged() {
    let stage = Stage::new();
    let id = stage.endpoint(&["*"]).endpoint.id;
    for number in 0..5 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
        stage.world.clock.advance(MILLI);
    }
    stage.receiver.answers([answer(500)]);
    stage.deliver();
    let query =
        |status: Option<&str>, event, endpoint| DeliveryQuery { status: status.map(str::to_owned), event, endpoint };
    let list =
        |query, cursor: Option<&str>, limit| wait(stage.world.service.deliveries(&stage.acme, query, cursor, limit));
    assert_eq!(list(query(Some("pending"), None, None), None, 10).unwrap().items.len(), 1);
    assert_eq!(
        list(query(Some("delivered"), Some(EventKind::OtpRequested), Some(id)), None, 10).unwrap().items.len(),
        4
    );
    assert_eq!(list(query(None, Some(EventKind::OtpFailed), None), None, 10).unwrap().items.len(), 0);
    assert_eq!(refusal(list(query(Some("lost"), None, None), None, 10)), "invalid_field");
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = list(DeliveryQuery::default(), cursor.as_deref(), 2).unwrap();
        seen.extend(page.items.iter().map(|delivery| delivery.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, other| one > other));
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
fn what_was_deleted_is_sent_nothing() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    wait(stage.world.service.delete_endpoint(&stage.acme, id)).unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 0);
    assert!(matches!(stage.deliveries()[0].state, DeliveryState::Dropped { .. }));
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    assert_eq!(stage.deliveries().len(), 1);
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

#[test]
fn what_a_tenant_writes_is_checked() {
    let stage = Stage::new();
    type Case = (&'static str, fn(&mut NewEndpoint), &'static str);
    let cases: [Case; 13] = [
        ("url", |new| new.url = "acme".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "http://hooks.acme.example".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://127.0.0.1/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://[::ffff:10.0.0.1]/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://localhost/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://169.254.169.254/latest".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://otp.example/admin/users".to_owned(), "invalid_webhook_url"),
        ("events", |new| new.events = Vec::new(), "invalid_field"),
        ("events", |new| new.events = vec!["otp.gone".to_owned()], "invalid_field"),
        ("secret", |new| new.secret = Some("hush".to_owned().into()), "invalid_webhook_secret"),
        ("headers", |new| new.headers = vec![("Host".to_owned(), "a".to_owned())], "invalid_header"),
        ("ratePerSecond", |new| new.per_second = Some(0), "invalid_field"),
        ("description", |new| new.description = "a\nb".to_owned(), "invalid_field"),
    ];
    for (field, change, code) in cases {
        let mut new = new_endpoint(&["*"]);
        change(&mut new);
        match wait(stage.world.service.create_endpoint(&stage.acme, new)) {
            Err(Error::Invalid(invalid)) => assert_eq!((invalid.code, &*invalid.field), (code, field)),
            other => panic!("{field}: {other:?}"),
        }
    }
    for _ in 0..16 {
        stage.endpoint(&["*"]);
    }
    let one_more = wait(stage.world.service.create_endpoint(&stage.acme, new_endpoint(&["*"])));
    assert_eq!(refusal(one_more), "conflict");
    let free = stage.world.caller(stage.world.tenant("free").id, Mode::Live);
    assert_eq!(refusal(wait(stage.world.service.create_endpoint(&free, new_endpoint(&["*"])))), "plan_limit");
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

#[test]
fn an_endpoint_that_hangs_has_four_requests_open_and_the_others_go_on() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    for number in 0..100 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
    }
    let hanging = wait(stage.world.service.claim_webhooks(1_000)).unwrap();
    assert_eq!((stage.deliveries().len(), hanging.runs.len(), hanging.is_more), (100, 4, false));
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

#[test]
fn nothing_that_signs_is_stored_in_clear() {
    let stage = Stage::new();
    let created = stage.endpoint_with(&["*"], |new| new.headers = vec![("x-key".to_owned(), "hush-hush".to_owned())]);
    let endpoint = stage.world.committed::<webhook::Endpoint>().pop().unwrap();
    let body = store::Record::from(endpoint.clone()).body();
    assert!(!body.contains(&secret_of(&created)[6..]) && !body.contains("hush-hush"));
    assert_eq!(endpoint.owner(), Some(stage.acme.space().tenant.as_bytes().into()));
}
