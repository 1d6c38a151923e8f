// Microsoft's client of Key Vault against the vault of VAULT_URL; keyvault_test.py runs it.
//
//   node client.mjs keys|secret|certificate|workload|imds|app-service
//
// "keys" walks through a key's life with a token by client secret; the others only get a token their way and read a key.
// Ends with "ok" and the number of checks; anything else is a failure.
import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import {
  ClientCertificateCredential, ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential,
} from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";

const { VAULT_URL, TENANT, CLIENT_ID, CLIENT_SECRET, CLIENT_FILE } = process.env;
const authority = { authorityHost: VAULT_URL, disableInstanceDiscovery: true };
const options = { disableChallengeResourceVerification: true, retryOptions: { maxRetries: 0 } };
const message = Buffer.from("a certificate");
let checks = 0;

function check(actual, expected) {
  assert.deepEqual(actual, expected);
  checks++;
}

async function refused(promise, statusCode, code) {
  const error = await promise.then(() => assert.fail("not refused"), (reason) => reason);
  check([error.statusCode, error.code], [statusCode, code]);
}

async function gather(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}

// Node's own verification, with what the client says the public key is.
function isSigned(key, alg, signature) {
  const jwk = Object.fromEntries(["kty", "crv", "x", "y", "n", "e"].filter((name) => key[name])
    .map((name) => [name, key[name] instanceof Uint8Array ? Buffer.from(key[name]).toString("base64url") : key[name]]));
  jwk.kty = jwk.kty.replace("-HSM", "");
  const publicKey = createPublicKey({ key: jwk, format: "jwk" });
  const settings = { key: publicKey, dsaEncoding: "ieee-p1363", ...(alg.startsWith("PS") && { padding: 6, saltLength: -1 }) };
  return verify("sha" + alg.slice(2), message, settings, signature);
}

async function signWith(credential, client, created, algs) {
  for (const alg of algs) {
    const crypto = new CryptographyClient(created.id, credential, options);
    const digest = createHash("sha" + alg.slice(2)).update(message).digest();
    const signed = await crypto.sign(alg, digest);
    check([signed.algorithm, signed.keyID], [alg, created.id]);
    check(isSigned(created.key, alg, signed.result), true);
    check((await crypto.verify(alg, digest, signed.result)).result, true);
    check((await crypto.signData(alg, message)).result.length, signed.result.length);
  }
}

const bySecret = () => new ClientSecretCredential(TENANT, CLIENT_ID, CLIENT_SECRET, authority);

// The private members of a new key, as bytes.
function newJwk(kind, settings) {
  const { kty, crv, ...members } = generateKeyPairSync(kind, settings).privateKey.export({ format: "jwk" });
  const bytes = Object.entries(members).map(([name, text]) => [name, Buffer.from(text, "base64url")]);
  return { kty, ...(crv && { crv }), keyOps: ["sign", "verify"], ...Object.fromEntries(bytes) };
}

async function keys() {
  const credential = bySecret();
  const client = new KeyClient(VAULT_URL, credential, options);
  const first = await client.createEcKey("issuing", { curve: "P-256", hsm: true, tags: { a: "b" }, exportable: false });
  check([first.keyType, first.key.crv, first.properties.tags, first.properties.enabled], ["EC-HSM", "P-256", { a: "b" }, true]);
  check((await client.getKey("issuing")).id, first.id);
  check((await client.getKey("issuing", { version: first.properties.version })).id, first.id);
  for (let i = 0; i < 27; i++) await client.createEcKey("issuing", { curve: "P-256" });
  const versions = await gather(client.listPropertiesOfKeyVersions("issuing"));
  check([versions.length, new Set(versions.map((version) => version.version)).size], [28, 28]);
  check((await gather(client.listPropertiesOfKeys())).map((key) => key.name), ["ca", "issuing"]);

  await signWith(credential, client, first, ["ES256"]);
  await signWith(credential, client, await client.createEcKey("p384", { curve: "P-384" }), ["ES384"]);
  await signWith(credential, client, await client.createEcKey("p521", { curve: "P-521" }), ["ES512"]);
  await signWith(credential, client, await client.createRsaKey("rsa", { keySize: 2048, hsm: true }),
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);

  for (const [alg, kind, settings] of [["ES256", "ec", { namedCurve: "P-256" }], ["PS256", "rsa", { modulusLength: 2048 }]]) {
    const imported = await client.importKey("imported", newJwk(kind, settings), { hardwareProtected: true });
    check(imported.keyType, kind.toUpperCase() + "-HSM");
    await signWith(credential, client, imported, [alg]);
  }

  const rotated = await client.rotateKey("issuing");
  assert.notEqual(rotated.id, first.id);
  check((await client.getKey("issuing")).id, rotated.id);
  const expiresOn = new Date("2030-01-01T00:00:00Z");
  const updated = await client.updateKeyProperties("issuing", rotated.properties.version, { enabled: false, expiresOn });
  check([updated.properties.enabled, updated.properties.expiresOn], [false, expiresOn]);
  await refused(new CryptographyClient(rotated.id, credential, options).sign("ES256", Buffer.alloc(32)), 403, "Forbidden");
  await refused(new CryptographyClient(first.id, credential, options).sign("ES384", Buffer.alloc(48)), 400, "BadParameter");
  await refused(client.getKey("none"), 404, "KeyNotFound");

  const deleted = await (await client.beginDeleteKey("p384", { intervalInMs: 10 })).pollUntilDone();
  check([deleted.name, deleted.properties.recoveryId], ["p384", `${VAULT_URL}/deletedkeys/p384`]);
  await refused(client.createEcKey("p384"), 409, "Conflict");
  check((await gather(client.listDeletedKeys())).map((key) => key.name), ["p384"]);
  check((await (await client.beginRecoverDeletedKey("p384", { intervalInMs: 10 })).pollUntilDone()).name, "p384");
  await (await client.beginDeleteKey("p384", { intervalInMs: 10 })).pollUntilDone();
  await client.purgeDeletedKey("p384");
  await refused(client.getDeletedKey("p384"), 404, "KeyNotFound");
}

async function readKey(credential) {
  check((await new KeyClient(VAULT_URL, credential, options).getKey("ca")).name, "ca");
}

const ways = {
  keys,
  secret: () => readKey(bySecret()),
  certificate: () => readKey(new ClientCertificateCredential(TENANT, CLIENT_ID, CLIENT_FILE, authority)),
  workload: () => readKey(new WorkloadIdentityCredential(
    { tenantId: TENANT, clientId: CLIENT_ID, tokenFilePath: CLIENT_FILE, ...authority })),
  imds: () => readKey(new ManagedIdentityCredential()),
  "app-service": () => readKey(new ManagedIdentityCredential()),
};

await ways[process.argv[2]]();
console.log("ok", checks);
