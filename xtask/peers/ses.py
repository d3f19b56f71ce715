"""Amazon SES as moto plays it, checking signatures: prints one line of JSON, then serves until its input ends."""

import json
import os
import sys

# Calls before signatures are checked: those below.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

REGION = "eu-central-1"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ses:*", "Resource": "*"}]}

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"


def client(service):
    login = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, **login)


iam = client("iam")
iam.create_user(UserName="otp")
iam.put_user_policy(UserName="otp", PolicyName="mail", PolicyDocument=json.dumps(POLICY))
key = iam.create_access_key(UserName="otp")["AccessKey"]
client("sesv2").create_email_identity(EmailIdentity=sys.argv[1])
print(json.dumps({"endpoint": endpoint, "region": REGION, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
sys.stdout.flush()
sys.stdin.read()
