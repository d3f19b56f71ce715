// Reads the QR picture of the PNG file that is the second argument, by pngjs and jsqr of the folder that is the first.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const { PNG } = require("pngjs");
const jsqr = require("jsqr");
const { data, width, height } = PNG.sync.read(readFileSync(process.argv[3]));
const found = (jsqr.default ?? jsqr)(new Uint8ClampedArray(data), width, height);
process.stdout.write(found?.data ?? "nothing");
