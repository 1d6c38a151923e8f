#!/usr/bin/env node
// Pushes certificate requests with ioredis and saves the certificates.
//
//   submit.mjs URL REQUESTER CSR_FILE...      e.g. submit.mjs /run/redis/redis.sock line-1 device-1.csr
//
// A device is named like its file. Needs: npm install ioredis
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Redis from 'ioredis';

const [url, requester, ...files] = process.argv.slice(2);
if (files.length === 0) {
  console.error('submit.mjs URL REQUESTER CSR_FILE...');
  process.exit(2);
}
const queue = new Redis(url);
const results = `certmill:results:${requester}`;

// Where the results end now: nothing that answers us can come before it.
const newest = await queue.xrevrange(results, '+', '-', 'COUNT', 1);
let last = newest.length > 0 ? newest[0][0] : '0-0';

const waiting = new Map();
const pipeline = queue.pipeline();
for (const file of files) {
  const csr = readFileSync(file);
  const device = path.parse(file).name;
  // The same id for the same request: pushing it again, after a doubt, changes nothing.
  const id = createHash('sha256').update(`${device}\0`).update(csr).digest('hex').slice(0, 32);
  waiting.set(id, path.format({ ...path.parse(file), base: undefined, ext: '.cer' }));
  pipeline.xadd('certmill:requests', '*', 'op', 'issue', 'id', id, 'requester', requester,
    'device', device, 'csr', csr);
}
for (const [error] of await pipeline.exec()) if (error) throw error;

let refused = 0;
while (waiting.size > 0) {
  // xreadBuffer: certificates are binary.
  const answer = await queue.xreadBuffer('COUNT', 500, 'BLOCK', 30000, 'STREAMS', results, last);
  if (!answer) throw new Error(`no result within 30 seconds for ${waiting.size} requests`);
  for (const [entry, list] of answer[0][1]) {
    last = entry.toString();
    const fields = {};
    for (let i = 0; i < list.length; i += 2) fields[list[i].toString()] = list[i + 1];
    const file = waiting.get(String(fields.id));
    if (!waiting.delete(String(fields.id))) continue; // another's, or a result that came twice
    if (String(fields.status) === 'issued') {
      writeFileSync(file, fields.certificate);
      console.log(`${file}: issued, serial ${fields.serial}`);
    } else {
      refused += 1;
      console.log(`${file}: ${fields.status} ${fields.code}: ${fields.message}`);
    }
  }
}
queue.disconnect();
process.exit(refused > 0 ? 1 : 0);
