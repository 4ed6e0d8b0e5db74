// The real oidc-provider for the end-to-end tests: index.js CONFIG.json MODULES
//
//   MODULES: the node_modules that tools/prepare made from package-lock.json
//   CONFIG.json:
//   { "port", "control", "accounts": [{ "user", "password", "claims": { "sub", … } }],
//     "clients": [oidc-provider's client metadata], "claims": [names that no account has yet] }
//
// It listens on 127.0.0.1 without TLS; issuer http://127.0.0.1:PORT. On the control port tests change accounts, break
// endpoints and have it lie (control.js, lies.js). Nothing is kept when it ends.
import { generateKeyPair, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { control } from './control.js';
import { Keys, answer } from './lies.js';
import { login } from './login.js';

// Found while the modules load.
const pair = promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
const { default: Provider } = await import(pathToFileURL(join(process.argv[3], 'oidc-provider/lib/index.js')));
const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const issuer = `http://127.0.0.1:${config.port}`;

const DAY = 86400; // seconds
const EMAIL = ['email', 'email_verified'];
const PROFILE = ['name', 'preferred_username', 'given_name', 'family_name'];
const OTHERS = ['groups', 'roles', 'department', 'tid', 'oid', 'hd', 'custom'];

export const state = {
  issuer,
  accounts: new Map(config.accounts.map((it) => [it.user, { disabled: false, overage: false, ...it }])),
  keys: new Keys(await pair),
  secrets: new Map(config.clients.map((it) => [it.client_id, it.client_secret])),
  lie: null, // what the next answers say instead: lies.js
  endpoints: new Map(), // by oidc-provider's route name: { status } or { hang: true }
  redirects: new Set(), // where clients may redirect to besides what they are registered with
  settings: { refresh_tokens: true, userinfo_only: [] },
  seen: [],
  listening: null, // set below: (on) => Promise
};

const known = new Set([...OTHERS, ...(config.claims ?? [])]);
for (const { claims } of state.accounts.values()) Object.keys(claims).forEach((name) => known.add(name));
for (const name of ['sub', ...EMAIL, ...PROFILE]) known.delete(name);
state.known = new Set(['sub', ...EMAIL, ...PROFILE, ...known]);

const bySub = (sub) => [...state.accounts.values()].find((it) => it.claims.sub === sub && !it.disabled);

const provider = new Provider(issuer, {
  clients: config.clients,
  jwks: { keys: [state.keys.current.private_jwk] },
  claims: { openid: ['sub', ...known], email: EMAIL, profile: PROFILE },
  scopes: ['openid', 'offline_access', 'email', 'profile'],
  conformIdTokenClaims: false, // as Entra, Okta and Google do: the scopes' claims stand in the id_token too
  // Cookies do not know ports: two providers on 127.0.0.1 would overwrite each other's.
  cookies: {
    keys: [randomBytes(16).toString('hex')],
    names: { session: `s${config.port}`, interaction: `i${config.port}`, resume: `r${config.port}` },
  },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true }, introspection: { enabled: true } },
  pkce: { required: () => true },
  // oidc-provider drops offline_access unless prompt=consent asks for it; the providers of enterprises do not.
  issueRefreshToken: async (_ctx, client) => state.settings.refresh_tokens && client.grantTypeAllowed('refresh_token'),
  expiresWithSession: async () => false,
  rotateRefreshToken: true,
  ttl: {
    AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600,
    Grant: DAY, RefreshToken: DAY, Session: DAY,
  },
  interactions: { url: (_ctx, interaction) => `/login/${interaction.uid}` },
  async findAccount(_ctx, sub) {
    const account = bySub(sub);
    return account && { accountId: sub, claims: async () => structuredClone(account.claims) };
  },
  // Consent is given by the enterprise, for everybody.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid offline_access email profile');
    await grant.save();
    return grant;
  },
});

const registered = provider.Client.prototype.redirectUriAllowed;
provider.Client.prototype.redirectUriAllowed = function allowed(uri) {
  return state.redirects.has(uri) || registered.call(this, uri);
};

provider.on('server_error', (_ctx, error) => console.error(error));
provider.on('grant.error', (_ctx, error) => console.error('token:', error.message, error.error_detail ?? ''));
provider.use(answer(state));
provider.use(login(state, provider));

// Where an overage points to, in the shape of Microsoft Graph's getMemberObjects.
provider.use(async (ctx, next) => {
  const [, user] = ctx.path.match(/^\/lookup\/([^/]+)\/getMemberObjects$/) ?? [];
  if (!user) return next();
  const token = await provider.AccessToken.find((ctx.get('authorization').match(/^Bearer (.+)$/) ?? [])[1] ?? '-');
  const account = token && bySub(token.accountId);
  state.seen.push({ route: 'lookup', user });
  if (account?.user !== decodeURIComponent(user)) {
    ctx.status = 401;
    ctx.body = { error: 'invalid_token' };
  } else {
    ctx.body = { value: account.claims.groups ?? [] };
  }
});

const handler = provider.callback();
let server = null;
state.listening = (on) =>
  new Promise((resolve) => {
    if (on && !server) {
      server = createServer(handler).listen(config.port, '127.0.0.1', resolve);
    } else if (!on && server) {
      server.close(resolve);
      server.closeAllConnections();
      server = null;
    } else resolve();
  });

await new Promise((resolve) => control(state).listen(config.control, '127.0.0.1', resolve));
await state.listening(true);
console.error(`oidc-provider at ${issuer}, its controls at ${config.control}`);
