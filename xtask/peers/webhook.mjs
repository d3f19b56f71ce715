// Whether a request of ours is right, as the library of Standard Webhooks sees it: reads secret, headers and body as JSON.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const modules = process.env.OTP_TEST_NODE_MODULES;
const { Webhook } = createRequire(modules ? `${modules}/` : import.meta.url)("standardwebhooks");

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("right");
  } catch (error) {
    console.log("wrong", error.message);
  }
}
