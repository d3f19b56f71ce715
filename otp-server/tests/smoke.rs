use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use otp_core::store::MemoryStore;
use otp_core::*;
use otp_server::http::*;
use tower::ServiceExt;

#[tokio::test]
async fn smoke() {
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom)).build();
    let app = App::new(AppOptions { service: service.clone(), admin_token: secret::Digest32::of(b"otp_admin_x"), trusted_proxies: vec![] });
    let router = routes(app);
    let call = |method: &str, path: &str, auth: String, body: String| {
        let r = router.clone();
        let req = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {auth}")).header("content-type", "application/json").body(Body::from(body)).unwrap();
        async move {
            let res = r.oneshot(req).await.unwrap();
            println!("{} {:?}", res.status(), res.headers());
            let b = res.into_body().collect().await.unwrap().to_bytes();
            println!("{}", String::from_utf8_lossy(&b));
            serde_json::from_slice::<serde_json::Value>(&b).unwrap_or_default()
        }
    };
    let c = call("POST", "/admin/customers", "otp_admin_x".into(), r#"{"name":"Acme","email":"a@acme.com"}"#.into()).await;
    let id = c["customerId"].as_str().unwrap().to_owned();
    let k = call("POST", &format!("/admin/customers/{id}/api-keys"), c["apiKey"].as_str().unwrap().into(), r#"{"name":"t","mode":"test"}"#.into()).await;
    let key = k["apiKey"].as_str().unwrap().to_owned();
    let r = call("POST", "/auth/request-otp", key.clone(), r#"{"email":"ann@example.org"}"#.into()).await;
    let code = r["testCode"].as_str().unwrap();
    call("POST", "/auth/verify-otp", key.clone(), format!(r#"{{"email":"ann@example.org","otp":"000000000"}}"#)).await;
    let v = call("POST", "/auth/verify-otp", key.clone(), format!(r#"{{"challengeId":{},"otp":"{code}"}}"#, r["challengeId"])).await;
    call("GET", "/auth/me", v["token"].as_str().unwrap().into(), String::new()).await;
    call("GET", &format!("/admin/customers/{id}/api-keys"), c["apiKey"].as_str().unwrap().into(), String::new()).await;
    call("POST", "/auth/refresh", String::new(), format!(r#"{{"refreshToken":{}}}"#, v["refreshToken"])).await;
    call("POST", "/auth/refresh", String::new(), format!(r#"{{"refreshToken":{}}}"#, v["refreshToken"])).await;
    call("GET", "/auth/me", v["token"].as_str().unwrap().into(), String::new()).await;
    call("GET", "/admin/customers", "otp_admin_x".into(), String::new()).await;
    call("POST", "/auth/request-otp", key.clone(), r#"{"email":"#.into()).await;
    call("GET", "/openapi.json", key.clone(), "".into()).await;
}
