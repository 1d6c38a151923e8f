// Stands in for ioredis, which Debian does not have: the few calls of docs/reference/examples/submit.mjs.
import net from 'node:net';

function encode(words) {
  const parts = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const data = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
    parts.push(Buffer.from(`$${data.length}\r\n`), data, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

// [value, where it ends], or null while it is not whole.
function decode(data, at) {
  const end = data.indexOf('\r\n', at);
  if (end < 0) return null;
  const kind = String.fromCharCode(data[at]);
  const line = data.toString('latin1', at + 1, end);
  if (kind === '+') return [Buffer.from(line), end + 2];
  if (kind === '-') return [new Error(line), end + 2];
  if (kind === ':') return [Number(line), end + 2];
  const count = Number(line);
  if (count < 0) return [null, end + 2];
  if (kind === '$') return data.length < end + 4 + count ? null : [data.subarray(end + 2, end + 2 + count), end + 4 + count];
  const list = [];
  let from = end + 2;
  for (let i = 0; i < count; i++) {
    const one = decode(data, from);
    if (!one) return null;
    list.push(one[0]);
    from = one[1];
  }
  return [list, from];
}

const toText = (value) => (Array.isArray(value) ? value.map(toText) : Buffer.isBuffer(value) ? value.toString() : value);

export default class Redis {
  constructor(path) {
    this.waiting = [];
    this.received = Buffer.alloc(0);
    this.socket = net.connect(path);
    this.socket.on('data', (data) => {
      this.received = Buffer.concat([this.received, data]);
      for (let one; (one = decode(this.received, 0)); this.received = this.received.subarray(one[1])) this.waiting.shift()(one[0]);
    });
  }

  call(...words) {
    this.socket.write(encode(words));
    return new Promise((resolve, reject) => this.waiting.push((value) => (value instanceof Error ? reject(value) : resolve(value))));
  }

  async xrevrange(...words) {
    return toText(await this.call('XREVRANGE', ...words));
  }

  xreadBuffer(...words) {
    return this.call('XREAD', ...words);
  }

  pipeline() {
    const sent = [];
    return {
      xadd: (...words) => sent.push(this.call('XADD', ...words)),
      exec: async () => (await Promise.allSettled(sent)).map((one) => [one.reason ?? null, one.value]),
    };
  }

  disconnect() {
    this.socket.end();
  }
}
