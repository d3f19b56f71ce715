// Verifies tokens by the jose library, whose entry is the first argument. Exits 3 when it refuses one.
import { readFileSync } from "node:fs";

const { createLocalJWKSet, jwtVerify } = await import(process.argv[2]);
const { jwks, tokens, issuer, audience } = JSON.parse(readFileSync(0, "utf8"));
const keys = createLocalJWKSet(jwks);

for (const { token, algorithm, session } of tokens) {
  let payload;
  try {
    ({ payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: [algorithm], typ: "at+jwt" }));
  } catch (refusal) {
    console.error(refusal.message);
    process.exit(3);
  }
  if (payload.sid !== session || !payload.amr.includes("otp")) throw new Error(JSON.stringify(payload));
}
