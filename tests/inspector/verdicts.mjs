// stdin: [[old SDL, new SDL], …] -> stdout: [[{level, path, type, message}, …], …], as GraphQL Inspector judges them.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/package.json");
const { buildSchema } = require("graphql");
const { diff } = require("@graphql-inspector/core");
const pairs = JSON.parse(readFileSync(0, "utf8"));
const found = [];
for (const [before, after] of pairs) {
  const changes = await diff(buildSchema(before), buildSchema(after));
  found.push(
    changes.map((one) => ({ level: one.criticality.level, path: one.path ?? "", type: one.type, message: one.message })),
  );
}
process.stdout.write(JSON.stringify(found));
