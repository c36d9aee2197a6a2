// A JSON list of queries in M on standard input -> a JSON list of Microsoft's parser's messages, null where it parses.
// node m_syntax.mjs FOLDER_OF_NODE_MODULES
import { createRequire } from "node:module";

const { DefaultSettings, TaskUtils } = createRequire(`${process.argv[2]}/`)("@microsoft/powerquery-parser");

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const messages = [];
for (const query of JSON.parse(Buffer.concat(chunks))) {
    const task = await TaskUtils.tryLexParse(DefaultSettings, query);
    messages.push(task.resultKind === "Ok" ? null : task.error.message);
}
console.log(JSON.stringify(messages));
