"""Has the official SDK of a service send a message to an address of the test's own: sdk.py SERVICE < message.json"""

import base64
import json
import sys


def resend(message):
    import resend

    resend.api_key = message["key"]
    resend.api_url = message["endpoint"]
    params = {
        "from": "{sender_name} <{sender}>".format(**message),
        "to": [message["to"]],
        "subject": message["subject"],
        "text": message["text"],
        "html": message["html"],
        "reply_to": message["reply_to"],
        "headers": message["headers"],
        "tags": [
            {"name": "message_id", "value": message["id"]},
            {"name": "customer_id", "value": message["customer"]},
        ],
    }
    resend.Emails.send(params, {"idempotency_key": message["id"]})


def sendgrid(message):
    from sendgrid import SendGridAPIClient
    from sendgrid.helpers import mail

    letter = mail.Mail(
        from_email=mail.From(message["sender"], message["sender_name"]),
        to_emails=mail.To(message["to"]),
        subject=message["subject"],
        plain_text_content=message["text"],
        html_content=message["html"],
    )
    letter.reply_to = mail.ReplyTo(message["reply_to"])
    letter.add_custom_arg(mail.CustomArg("message_id", message["id"], p=0))
    letter.add_custom_arg(mail.CustomArg("customer_id", message["customer"], p=0))
    for name, value in message["headers"].items():
        letter.header = mail.Header(name, value)
    tracking = mail.TrackingSettings()
    tracking.click_tracking = mail.ClickTracking(enable=False, enable_text=False)
    tracking.open_tracking = mail.OpenTracking(enable=False)
    letter.tracking_settings = tracking
    SendGridAPIClient(message["key"], host=message["endpoint"]).send(letter)


def ses(message):
    import boto3

    client = boto3.client(
        "sesv2",
        endpoint_url=message["endpoint"],
        region_name=message["region"],
        aws_access_key_id=message["access_key_id"],
        aws_secret_access_key=message["key"],
        aws_session_token=message["session_token"],
    )
    client.send_email(
        Destination={"ToAddresses": [message["to"]]},
        Content={"Raw": {"Data": base64.b64decode(message["mail"])}},
        EmailTags=[
            {"Name": "message_id", "Value": message["id"]},
            {"Name": "customer_id", "Value": message["customer"]},
        ],
        ConfigurationSetName=message["configuration_set"],
    )


def twilio(message):
    from twilio.rest import Client

    client = Client(message["account"], message["key"])
    client.api.base_url = message["endpoint"]
    client.messages.create(**message["fields"])


{"resend": resend, "sendgrid": sendgrid, "ses": ses, "twilio": twilio}[sys.argv[1]](json.load(sys.stdin))
