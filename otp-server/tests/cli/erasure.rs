//! A user is exported and erased, and then everything on the disk is searched for what stood for them.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use crate::support::{Place, Server, word};

const CANARY: &str = "ann.canary.q5z7@mailbox-p8r3.example";

fn json_of((status, body): (u16, String)) -> Value {
    assert!((200..300).contains(&status), "{status}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn mailed(server: &Server, to: &str) -> String {
    for _ in 0..10_000 {
        let mails = json_of(server.fetch("/dev/mailbox/messages", ""));
        if let Some(mail) = mails.as_array().unwrap().iter().find(|mail| mail["to"] == to) {
            return mail["code"].as_str().unwrap().to_owned();
        }
    }
    panic!("nothing was mailed to {to}");
}

fn sign_in(server: &Server, key: &str, email: &str) -> Value {
    let asked = json_of(server.post("/auth/request-otp", key, &json!({"email": email}).to_string()));
    let said = json!({"challengeId": asked["challengeId"], "otp": mailed(server, email)});
    json_of(server.post("/auth/verify-otp", key, &said.to_string()))
}

/// What stands for a user on the disk: in words and in bytes.
struct Traces {
    /// Which the event and the line of the audit trail go on naming.
    id: Vec<u8>,
    others: Vec<(&'static str, Vec<u8>)>,
}

impl Traces {
    fn of(place: &Place, id: &str) -> Self {
        let row = "SELECT id, alias, json_extract(body, '$.subject'), json_extract(body, '$.address') FROM user \
                   WHERE json_extract(body, '$.id') = ?1";
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: (Vec<u8>, Vec<u8>, String, String) = place.database().query_row(row, [id], columns).unwrap();
        let (key, alias, subject, sealed) = found;
        let others = vec![
            ("address", CANARY.into()),
            ("address in base64", STANDARD_NO_PAD.encode(CANARY).into_bytes()[..40].to_vec()),
            ("id in bytes", key),
            ("digest in bytes", alias),
            ("digest", subject.into_bytes()),
            ("sealed address", sealed.into_bytes()),
        ];
        Self { id: id.as_bytes().to_vec(), others }
    }

    fn in_file(&self, path: &PathBuf) -> Vec<String> {
        let bytes = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_there = |(_, trace): &&(&str, Vec<u8>)| times(&bytes, trace) > 0;
        self.others.iter().filter(is_there).map(|(what, _)| format!("{what} in {name}")).collect()
    }
}

fn times(bytes: &[u8], sought: &[u8]) -> usize {
    bytes.windows(sought.len()).filter(|window| *window == sought).count()
}

#[test]
fn nothing_on_the_disk_stands_for_a_user_who_was_erased() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("otp_live_sk_");
    let key = word(&server.said, "otp_live_sk_").to_owned();
    // Others before and after, so that their rows share pages.
    (0..15).for_each(|number| drop(sign_in(&server, &key, &format!("before{number}@example.org"))));
    let user = sign_in(&server, &key, CANARY)["userId"].as_str().unwrap().to_owned();
    (0..15).for_each(|number| drop(sign_in(&server, &key, &format!("after{number}@example.org"))));
    // A message that may wait, and a second session by a second code.
    json_of(server.post("/auth/request-otp", &key, &json!({"email": CANARY}).to_string()));

    let traces = Traces::of(&place, &user);
    let files = ["otp-data/otp.db", "otp-data/otp.db-wal"].map(|name| place.path(name));
    let found: Vec<String> = files.iter().flat_map(|file| traces.in_file(file)).collect();
    assert!(found.iter().any(|hit| hit.starts_with("sealed address")), "the search finds what is there: {found:?}");
    let authorized = format!("X-OTP-API-Key: {key}\r\n");
    let export = json_of(server.fetch(&format!("/admin/users/{user}/export"), &authorized));
    assert_eq!(export["data"]["email"], CANARY);
    let (status, body) = server.delete(&format!("/admin/users/{user}"), &authorized);
    assert_eq!(status, 200, "{body}");

    // The writer empties the log behind its answer.
    let emptied = (0..10_000).any(|_| {
        server.fetch("/health", "");
        fs::metadata(&files[1]).unwrap().len() == 0
    });
    assert!(emptied, "the log still holds the pages as they were");
    let found: Vec<String> = files.iter().flat_map(|file| traces.in_file(file)).collect();
    assert_eq!(found, Vec::<String>::new());
    place.done(&["backup", "copy.db"]);
    assert_eq!(traces.in_file(&place.path("copy.db")), Vec::<String>::new());
    // The export's and the erasure's lines, each with its call and its target, and the event: no more than what says so.
    assert_eq!(times(&fs::read(place.path("copy.db")).unwrap(), &traces.id), 5);

    server.stop();
    for name in place.entries("otp-data") {
        assert_eq!(traces.in_file(&place.path(&format!("otp-data/{name}"))), Vec::<String>::new());
    }
}
