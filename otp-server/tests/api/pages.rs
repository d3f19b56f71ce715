//! `/openapi.json`, `/docs` and the public keys.

use otp_core::token::Algorithm;
use serde_json::Value;

use crate::call::{Reply, get};
use crate::document::document;
use crate::harness::World;

#[tokio::test]
async fn the_document_is_served_as_it_is_made() {
    let world = World::new();
    let reply = world.send(get("/openapi.json")).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let served = reply.json();
    assert_eq!(&served, document());
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// Each operation says who may call it, and has a name of its own for client generators.
#[test]
fn every_operation_has_a_name_a_tag_and_a_credential() {
    let schemes = document()["components"]["securitySchemes"].as_object().unwrap();
    let mut names = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(!names.contains(&name), "{method} {path}: {name} stands twice");
            names.push(name);
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let security = operation["security"].as_array().unwrap();
            let known = security.iter().flat_map(|one| one.as_object().unwrap().keys());
            assert!(known.into_iter().all(|name| schemes.contains_key(name)), "{method} {path}");
            assert!(!security.is_empty(), "{method} {path}");
        }
    }
}

/// The text of an answer, which may be packed.
fn unpacked(reply: &Reply) -> String {
    match reply.header("content-encoding") {
        Some("gzip") => std::io::read_to_string(flate2::read::GzDecoder::new(&reply.body[..])).unwrap(),
        other => {
            assert_eq!(other, None);
            reply.text()
        }
    }
}

/// What an attribute of the page's elements names.
fn named_by(html: &str, attribute: &str) -> Vec<String> {
    let opening = format!("{attribute}=\"");
    html.split(&opening).skip(1).map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_page_loads_everything_from_this_server() {
    let world = World::new();
    let redirect = world.send(get("/docs")).await;
    assert!(redirect.status.is_redirection() && redirect.header("location") == Some("/docs/"), "{redirect}");
    let page = world.send(get("/docs/")).await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
    let html = unpacked(&page);
    let assets: Vec<String> = ["src", "href"].iter().flat_map(|attribute| named_by(&html, attribute)).collect();
    assert!(assets.len() >= 5, "{html}");
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} is somewhere else");
        let reply = world.send(get(format!("/docs/{}", asset.trim_start_matches("./")))).await;
        assert_eq!(reply.status, 200, "{reply}");
        assert!(!reply.body.is_empty());
        let kind = reply.header("content-type").unwrap();
        let expected = [("js", "javascript"), ("css", "text/css"), ("png", "image/png"), ("html", "text/html")];
        let (_, expected) = expected.iter().find(|(end, _)| asset.ends_with(end)).unwrap();
        assert!(kind.contains(expected), "{asset}: {kind}");
    }
    let initializer = unpacked(&world.send(get("/docs/swagger-initializer.js")).await);
    assert!(initializer.contains("\"/openapi.json\"") && !initializer.contains("http"), "{initializer}");
    world.send(get("/docs/no-such-file.js")).await.problem(404, "route_not_found");
    let policy = page.header("content-security-policy").unwrap();
    for strict in
        ["default-src 'none'", "script-src 'self';", "connect-src 'self'", "base-uri 'none'", "form-action 'none'"]
    {
        assert!(policy.contains(strict), "{policy}");
    }
}

#[tokio::test]
async fn public_keys_are_listed_and_shared_secrets_are_not() {
    let world = World::new();
    let (customer, other) = (world.customer().await, world.customer().await);
    let path = format!("/auth/{}/.well-known/jwks.json", customer.id);
    let keys = async |path: String| {
        let reply = world.send(get(path)).await;
        assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
        reply.json()["keys"].as_array().unwrap().clone()
    };
    assert_eq!(keys(path.clone()).await, Vec::<Value>::new());
    let caller = world.service.administrator(customer.tenant()).await.unwrap();
    for (algorithm, count) in [(Algorithm::EdDsa, 1), (Algorithm::Es256, 2)] {
        world.service.rotate_signing_keys(&caller, algorithm).await.unwrap();
        assert_eq!(keys(path.clone()).await.len(), count);
    }
    let own = keys(path.clone()).await;
    for key in &own {
        assert!(
            key["kid"].is_string() && key["use"] == "sig" && key.get("d").is_none() && key.get("k").is_none(),
            "{key}"
        );
    }
    let mut kinds: Vec<_> = own.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["ES256", "EdDSA"]);
    let all = keys("/.well-known/jwks.json".to_owned()).await;
    assert!(own.iter().all(|key| all.contains(key)) && all.len() == 2);
    assert_eq!(keys(format!("/auth/{}/.well-known/jwks.json", other.id)).await.len(), 0);

    // The old key is listed as long as its tokens live, and its tokens work.
    world.advance(8 * 3600);
    assert_eq!(keys(path).await.len(), 1);
    let nobody = otp_core::TenantId::from_bytes([9; 16]);
    for id in [nobody.to_string(), "cust_x".to_owned(), "%ff".to_owned()] {
        world.send(get(format!("/auth/{id}/.well-known/jwks.json"))).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn tokens_of_before_a_rotation_still_work_after_it() {
    let world = World::new();
    let customer = world.customer().await;
    let caller = world.service.administrator(customer.tenant()).await.unwrap();
    let mut users = vec![world.sign_in(&customer.key, "u0@example.org").await];
    for (number, algorithm) in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256].into_iter().enumerate() {
        world.service.rotate_signing_keys(&caller, algorithm).await.unwrap();
        users.push(world.sign_in(&customer.key, &format!("u{}@example.org", number + 1)).await);
        for user in &users {
            world.me(&user.token).await.ok();
        }
    }
}
