// Adds up the numbers of every CSV file in /golem/input, by name, and writes JSON to /golem/output.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";

const sums = {};
for (const file of readdirSync("/golem/input").filter((name) => name.endsWith(".csv")).sort())
  for (const [name, value] of parse(readFileSync(`/golem/input/${file}`))) sums[name] = (sums[name] ?? 0) + Number(value);

writeFileSync("/golem/output/sums.json", JSON.stringify(sums));
console.log(`${Object.keys(sums).length} names`);
