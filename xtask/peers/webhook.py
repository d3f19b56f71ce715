"""Whether a request of ours is right, as the library of Standard Webhooks sees it: reads secret, headers and body as JSON."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    asked = json.loads(line)
    try:
        Webhook(asked["secret"]).verify(asked["body"], asked["headers"])
        print("right", flush=True)
    except WebhookVerificationError as error:
        print("wrong", error, flush=True)
