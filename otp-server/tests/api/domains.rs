//! `/admin/domains`.

use otp_core::domain::Lookup;
use serde_json::{Value, json};

use crate::call::{Call, Reply, delete, get, post};
use crate::harness::{Customer, World};

const PLACE: &str = "_otpauth-verify.acme.com";

async fn check(world: &World, customer: &Customer, name: &str) -> Reply {
    world.send(post(format!("/admin/domains/{name}/verify"), json!({})).bearer(&customer.key)).await
}

#[tokio::test]
async fn a_domain_is_added_verified_listed_and_deleted() {
    let world = World::new();
    let customer = world.customer().await;
    let call = |name: &str| post("/admin/domains/verify", json!({"domain": name})).bearer(&customer.key);
    let reply = world.send(call("Acme.COM")).await;
    assert_eq!(reply.status, 201, "{reply}");
    let added = reply.json();
    let value = added["dnsRecord"]["value"].as_str().unwrap();
    assert!(value.starts_with("otpauth-verify=") && value.len() == 15 + 40, "{value}");
    assert_eq!(added["dnsRecord"], json!({"type": "TXT", "name": PLACE, "value": value, "ttl": 300}));
    assert_eq!(added["domain"], "acme.com");
    assert_eq!(added["status"], "pending");
    assert_eq!(added["createdAt"], "2026-01-31T08:15:30.123Z");
    assert_eq!(added["expiresAt"], "2026-02-07T08:15:30.123Z");
    assert_eq!(added["verifiedAt"], Value::Null);
    assert!(added["instructions"].as_str().unwrap().contains(value), "{added}");
    let again = world.send(call("acme.com")).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, added.clone()));

    let early = check(&world, &customer, "acme.com").await.ok();
    assert_eq!(early["status"], "pending");
    assert!(early["problem"].as_str().unwrap().contains("no TXT record at _otpauth-verify.acme.com"), "{early}");
    let hasty = check(&world, &customer, "acme.com").await;
    assert_eq!(hasty.problem(429, "rate_limit_exceeded")["retryAfter"], 10);
    world.advance(10);
    world.zone.publish(PLACE, "otpauth-verify=mistyped");
    let wrong = check(&world, &customer, "acme.com").await.ok();
    let problem = wrong["problem"].as_str().unwrap();
    assert!(problem.contains("`otpauth-verify=mistyped` instead of") && problem.contains(value), "{problem}");
    world.advance(10);
    world.zone.fail(PLACE);
    let failed = check(&world, &customer, "acme.com").await.ok();
    assert_eq!(failed["status"], "pending");
    assert!(failed["problem"].as_str().unwrap().contains("gave no answer"), "{failed}");
    world.advance(10);
    world.zone.publish(PLACE, value);
    let verified = check(&world, &customer, "acme.com").await.ok();
    assert_eq!(verified["status"], "verified");
    assert_eq!((&verified["problem"], &verified["expiresAt"]), (&Value::Null, &Value::Null));
    assert_eq!(verified["verifiedAt"], "2026-01-31T08:16:00.123Z");

    world.domain(&customer, "mail.acme.com").await;
    let list = world.send(get("/admin/domains").bearer(&customer.key)).await.ok();
    let names: Vec<_> =
        list["domains"].as_array().unwrap().iter().map(|one| (&one["domain"], &one["status"])).collect();
    assert_eq!(names, [(&json!("mail.acme.com"), &json!("pending")), (&json!("acme.com"), &json!("verified"))]);
    assert!(list["domains"][0].get("success").is_none() && list["domains"][0].get("spf").is_none(), "{list}");

    world.send(delete("/admin/domains/ACME.com").bearer(&customer.key)).await.ok();
    world.send(delete("/admin/domains/acme.com").bearer(&customer.key)).await.problem(404, "not_found");
    let anew = world.domain(&customer, "acme.com").await;
    assert_eq!(anew["status"], "pending");
    assert_ne!(anew["dnsRecord"]["value"], value, "the old value proves nothing any more");
}

#[tokio::test]
async fn the_status_tells_what_is_published_missing_and_unknown() {
    let world = World::new();
    let customer = world.customer().await;
    world.domain(&customer, "mail.acme.com").await;
    let status = async |query: &str| {
        let path = format!("/admin/domains/mail.acme.com/status{query}");
        world.send(get(path).bearer(&customer.key)).await.ok()
    };
    let nothing = status("").await;
    assert_eq!(nothing["spf"], json!({"found": false, "record": null, "problem": null}));
    assert_eq!(nothing["dmarc"], json!({"found": false, "policy": null, "record": null, "problem": null}));
    assert_eq!(nothing["dkim"], json!([]));

    let spf = "v=spf1 include:_spf.example.net -all";
    world.zone.say("mail.acme.com", Lookup::Found(vec!["v=spf10 x".to_owned(), spf.to_owned()]));
    world.zone.publish("_dmarc.acme.com", "v=DMARC1; p=none; sp=Reject; rua=mailto:d@acme.com");
    world.zone.publish("s1._domainkey.mail.acme.com", "v=DKIM1; k=rsa; p=MIGf");
    world.zone.publish("old._domainkey.mail.acme.com", "v=DKIM1; p=");
    world.zone.fail("s2._domainkey.mail.acme.com");
    let found = status("?selector=S1&selector=old&selector=s2&selector=none").await;
    assert_eq!(found["spf"], json!({"found": true, "record": spf, "problem": null}));
    assert_eq!((&found["dmarc"]["found"], &found["dmarc"]["policy"]), (&json!(true), &json!("reject")));
    let unknown = "unknown: the name server answered: Server Failure";
    assert_eq!(
        found["dkim"],
        json!([
            {"selector": "s1", "found": true, "problem": null},
            {"selector": "old", "found": false, "problem": null},
            {"selector": "s2", "found": null, "problem": unknown},
            {"selector": "none", "found": false, "problem": null},
        ])
    );

    world.zone.publish("_dmarc.mail.acme.com", "v=DMARC1; p=quarantine");
    assert_eq!(status("").await["dmarc"]["policy"], "quarantine");
    world.zone.fail("mail.acme.com");
    world.zone.fail("_dmarc.mail.acme.com");
    let failed = status("").await;
    assert_eq!(failed["spf"], json!({"found": null, "record": null, "problem": unknown}));
    assert_eq!((&failed["dmarc"]["found"], &failed["dmarc"]["problem"]), (&Value::Null, &json!(unknown)));

    let many = (0..11).map(|number| format!("selector=s{number}")).collect::<Vec<_>>().join("&");
    for query in [many.as_str(), "selector=", "selector=a..b", "selector=a%20b", "selector=%ff"] {
        let path = format!("/admin/domains/mail.acme.com/status?{query}");
        world.send(get(path).bearer(&customer.key)).await.problem(400, "invalid_selector");
    }
}

#[tokio::test]
async fn what_is_no_domain_is_refused_with_the_fix() {
    let world = World::new();
    let customer = world.customer().await;
    for (name, word) in [
        ("co.uk", "your own"),
        ("192.0.2.1", "IP address"),
        ("localhost", "full name"),
        ("acme.com.", "dot at its end"),
        ("_x.acme.com", "letters"),
        (&format!("{}.com", "a.".repeat(130)), "at most 237 bytes"),
    ] {
        let reply = world.send(post("/admin/domains/verify", json!({"domain": name})).bearer(&customer.key)).await;
        let problem = reply.problem(400, "invalid_domain");
        assert_eq!(problem["errors"][0]["field"], "domain");
        assert!(problem["errors"][0]["message"].as_str().unwrap().contains(word), "{name}: {problem}");
    }
}

#[tokio::test]
async fn the_plan_has_to_include_it() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    let reply = world.send(post("/admin/domains/verify", json!({"domain": "acme.com"})).bearer(&customer.key)).await;
    assert!(reply.problem(403, "plan_limit")["detail"].as_str().unwrap().contains("custom_domain"), "{reply}");
    world.send(get("/admin/domains").bearer(&customer.key)).await.ok();
}

#[tokio::test]
async fn anothers_domains_answer_like_unknown_ones() {
    let world = World::new();
    let (mine, other) = (world.customer().await, world.customer().await);
    world.domain(&other, "theirs.com").await;
    let calls = |name: &str| -> Vec<Call> {
        let path = |rest: &str| format!("/admin/domains/{name}{rest}");
        vec![post(path("/verify"), json!({})), get(path("/status")), delete(path(""))]
    };
    let same = |call: Call| world.send(call.bearer(&mine.key).header("x-request-id", "same"));
    for (foreign, (unknown, nonsense)) in
        calls("theirs.com").into_iter().zip(calls("nobody.com").into_iter().zip(calls("%ff")))
    {
        let foreign = same(foreign).await;
        foreign.problem(404, "not_found");
        for reply in [same(unknown).await, same(nonsense).await] {
            assert_eq!((&foreign.headers, &foreign.body), (&reply.headers, &reply.body));
        }
    }
    assert_eq!(world.send(get("/admin/domains").bearer(&mine.key)).await.ok()["domains"], json!([]));
}
