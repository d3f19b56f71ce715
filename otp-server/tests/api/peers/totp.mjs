// Makes the codes of each URI at each time, or at each counter, by the otpauth library, whose entry is the first argument.
import { readFileSync } from "node:fs";

const { HOTP, URI } = await import(process.argv[2]);
const codes = JSON.parse(readFileSync(0, "utf8")).map(({ uri, at, issuer, account }) => {
  const otp = URI.parse(uri);
  if (otp.issuer !== issuer || otp.label !== account) throw new Error(`${otp.issuer} ${otp.label}`);
  return at.map((moment) => otp.generate(otp instanceof HOTP ? { counter: moment } : { timestamp: moment * 1000 }));
});
console.log(JSON.stringify(codes));
