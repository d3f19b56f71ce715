//! The mailbox page in a real browser.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Html;
use axum::routing::get;
use otp_core::message::{Mailer, Outgoing};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{clock, from, in_time, message};
use crate::mail::{Mailbox, routes};

/// Tells the server at once, should it ever run.
const ATTACK: &str = "</title></script><script>new Image().src='/ran'</script>\
    <img src=x onerror=\"new Image().src='/ran'\"><svg onload=\"fetch('/ran')\"></svg>\
    <meta http-equiv=refresh content=\"0;url=/ran\"><iframe src=/ran></iframe><link rel=stylesheet href=/ran>\
    <a href=\"javascript:fetch('/ran')\" autofocus onfocus=\"fetch('/ran')\">x</a>";

struct Browser {
    process: Child,
    _profile: TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--window-size=1280,800"])
            .arg("--remote-debugging-port=0") // without it, it ends as soon as the page is loaded
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium is installed; `cargo xtask test` does it");
        Self { process, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that tells which paths it is asked for.
async fn serve(router: Router) -> (String, mpsc::UnboundedReceiver<String>) {
    let (sender, asked) = mpsc::unbounded_channel();
    let tell = move |request: Request, next: Next| {
        let _ = sender.send(request.uri().path().to_owned());
        next.run(request)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router.layer(middleware::from_fn(tell))).into_future());
    (address, asked)
}

async fn until(asked: &mut mpsc::UnboundedReceiver<String>, path: &str) {
    while in_time(asked.recv()).await.unwrap() != path {}
}

#[tokio::test]
#[ignore = "needs chromium: run `cargo xtask test`"]
async fn the_page_shows_mails_as_they_arrive_and_runs_nothing_that_they_bring() {
    let mailbox = Arc::new(Mailbox::new(from(), clock()));
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let router = routes(Arc::clone(&mailbox))
        .route("/unprotected", get(async || Html(ATTACK)))
        .route("/ran", get(move || async move { count.fetch_add(1, Ordering::SeqCst).to_string() }));
    let (address, mut asked) = serve(router).await;

    let attack = Outgoing {
        from_name: Some(ATTACK.into()),
        subject: ATTACK.into(),
        text: ATTACK.into(),
        html: Some(ATTACK.into()),
        code: Some(ATTACK.to_owned().into()),
        ..message(1, ATTACK)
    };
    mailbox.send(&attack).await.unwrap();
    let browser = Browser::open(&format!("{address}/dev/mailbox"));
    until(&mut asked, &format!("/dev/mailbox/messages/{}/html", attack.id)).await;

    // The page follows the newest mail, so when it asks for this one it has drawn the other and still works.
    let notice = Outgoing { code: None, ..message(3, "ops@example.org") };
    mailbox.send(&notice).await.unwrap();
    until(&mut asked, &format!("/dev/mailbox/messages/{}/html", notice.id)).await;
    let harmless = message(2, "ann@example.org");
    mailbox.send(&harmless).await.unwrap();
    until(&mut asked, &format!("/dev/mailbox/messages/{}/html", harmless.id)).await;
    drop(browser);
    assert_eq!(ran.load(Ordering::SeqCst), 0);

    let _unprotected = Browser::open(&format!("{address}/unprotected"));
    until(&mut asked, "/ran").await;
}
