#!/usr/bin/env node
// Pushes certificate requests with ioredis and saves the certificates.
//
//   submit.mjs URL REQUESTER CSR_FILE...      e.g. submit.mjs /run/redis/redis.sock line-1 device-1.csr
//
// A device is named like its file. Needs: npm install ioredis
//
// For a requester that must authenticate its requests: AUTH_SECRET=FILE (its secret) or AUTH_KEY=FILE (its Ed25519
// private key, PEM).
import { createHash, createHmac, createPrivateKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Redis from 'ioredis';

const [url, requester, ...files] = process.argv.slice(2);
if (files.length === 0) {
  console.error('submit.mjs URL REQUESTER CSR_FILE...');
  process.exit(2);
}

// A line for each field in a fixed order, "name octets value"; the csr as its SHA-256.
const signed = ['op', 'id', 'requester', 'device', 'csr', 'profile', 'serial', 'reason', 'invalidity', 'why',
  'priority', 'time'];
function canonical(fields) {
  const parts = [Buffer.from('certmill-request-v1\n')];
  for (const name of signed.filter((one) => fields[one] !== undefined)) {
    const isCsr = name === 'csr';
    const value = Buffer.from(isCsr ? createHash('sha256').update(fields.csr).digest('hex') : fields[name]);
    parts.push(Buffer.from(`${isCsr ? 'csr-sha256' : name} ${value.length} `), value, Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

const { AUTH_SECRET, AUTH_KEY } = process.env;
const secret = AUTH_SECRET && readFileSync(AUTH_SECRET, 'utf8').replace(/\n$/, '');
const key = AUTH_KEY && createPrivateKey(readFileSync(AUTH_KEY));
function authenticate(fields) {
  fields.time = String(Date.now());
  if (secret) fields.auth = `hmac-sha256:${createHmac('sha256', secret).update(canonical(fields)).digest('base64url')}`;
  else fields.auth = `ed25519:${sign(null, canonical(fields), key).toString('base64url')}`;
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
  const fields = { op: 'issue', id, requester, device, csr };
  if (secret || key) authenticate(fields);
  pipeline.xadd('certmill:requests', '*', ...Object.entries(fields).flat());
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
