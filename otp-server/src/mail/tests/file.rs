//! Mails as files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use otp_core::message::Mailer;

use super::{clock, from, message, permanent, sms};
use crate::mail::{Built, FileMailer, MailSetupError, MailUrl, mailer};

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_mail_is_one_private_file_also_when_it_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/when/missing");
    let mailer = FileMailer::new(folder.clone(), from(), clock()).unwrap();
    let mail = message(1, "ann@example.org");

    mailer.send(&mail).await.unwrap();
    let name = format!("{}.eml", mail.id);
    let first = fs::read_to_string(folder.join(&name)).unwrap();
    mailer.send(&mail).await.unwrap();

    assert_eq!(names(&folder), [name.as_str()], "no second file, no half one");
    assert_eq!(fs::read_to_string(folder.join(&name)).unwrap(), first);
    assert_eq!(fs::metadata(folder.join(&name)).unwrap().permissions().mode() & 0o777, 0o600);
    for line in [
        format!("Message-ID: <{}@mail.example>", mail.id),
        "Date: Sat, 31 Jan 2026 08:15:30 +0000".to_owned(),
        "From: Acme <noreply@mail.example>".to_owned(),
        "To: ann@example.org".to_owned(),
        "Subject: Your sign-in code".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        "X-Auto-Response-Suppress: All".to_owned(),
    ] {
        assert!(first.contains(&format!("{line}\r\n")), "{line} is missing from\n{first}");
    }
}

#[tokio::test]
async fn what_is_no_mail_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mailer = FileMailer::new(folder.path().to_owned(), from(), clock()).unwrap();
    assert_eq!(mailer.send(&sms(1)).await, Err(permanent("this mailer sends e-mail only")));
    let nowhere = mailer.send(&message(1, "ann@")).await;
    assert_eq!(nowhere, Err(permanent("the recipient's address is none that mail can be sent to")));
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named_at_the_start_and_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = mailer(&MailUrl::File(file.clone()), &from(), clock());
    assert!(matches!(refused, Err(MailSetupError::Folder { path, .. }) if path == file));

    let mails = folder.path().join("mails");
    let built = mailer(&MailUrl::File(mails.clone()), &from(), clock()).unwrap();
    assert!(matches!(built, Built::File(_)));
    built.check().await.unwrap();
    assert!(names(&mails).is_empty());
    fs::remove_dir(&mails).unwrap();
    let error = built.check().await.unwrap_err();
    assert!(error.to_string().contains("mails cannot be written to"), "{error}");
    assert!(matches!(
        built.mailer().send(&message(1, "ann@example.org")).await,
        Err(otp_core::message::SendError::Temporary { .. })
    ));
}
