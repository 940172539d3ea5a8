// What better-auth costs on SQLite under Node: the processor time of one verification of an API key, and of one permission check.
//
//   node measure.mjs [COUNT]
//
// One line of JSON: microseconds of processor time (user and system) for each, as the median of five rounds.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { admin } from "better-auth/plugins";
import Database from "better-sqlite3";

const count = Number(process.argv[2] ?? 2000);
const rounds = 5;
const folder = mkdtempSync(join(tmpdir(), "better-auth-"));

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

async function cpu(once) {
  await once();
  const all = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    for (let done = 0; done < count; done += 1) await once();
    const used = process.cpuUsage(before);
    all.push((used.user + used.system) / count);
  }
  return median(all);
}

try {
  const options = {
    database: new Database(join(folder, "auth.sqlite")),
    secret: "a secret of one measurement, long enough for it",
    baseURL: "http://127.0.0.1",
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false } }), admin()],
  };
  await (await getMigrations(options)).runMigrations();
  const auth = betterAuth(options);
  const { user } = await auth.api.signUpEmail({
    body: { email: "ann@toys.example", password: "correct horse battery", name: "Ann" },
  });
  const { key } = await auth.api.createApiKey({ body: { name: "one", userId: user.id } });
  const verification = await cpu(async () => {
    const told = await auth.api.verifyApiKey({ body: { key } });
    if (!told.valid) throw new Error(`the key is refused: ${JSON.stringify(told)}`);
  });
  const check = await cpu(async () => {
    await auth.api.userHasPermission({ body: { userId: user.id, permissions: { user: ["list"] } } });
  });
  console.log(JSON.stringify({ api_key_us: verification, permission_us: check }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
