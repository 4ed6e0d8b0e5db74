// What oidc-provider would never do. It signs and answers as ever; this stands before it and changes the answer.
//
// A lie: { "times": how many answers, "header": {…}, "claims": {…}, "userinfo": {…}, "tokens": {…}, "sign": one of
//          SIGNERS, "callback": {query parameters of the redirect to the client} }; everywhere null removes
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function key({ privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })) {
  const names = { kid: randomUUID(), use: 'sig', alg: 'RS256' };
  return {
    kid: names.kid,
    privateKey,
    pem: publicKey.export({ type: 'spki', format: 'pem' }),
    private_jwk: { ...privateKey.export({ format: 'jwk' }), ...names },
    public_jwk: { ...publicKey.export({ format: 'jwk' }), ...names },
  };
}

export class Keys {
  constructor(pair) {
    this.current = key(pair);
    this.published = [this.current];
  }

  rotate(keep) {
    this.current = key();
    this.published = keep ? [this.current, ...this.published] : [this.current];
  }
}

const rs256 = (input, { privateKey }) => sign('RSA-SHA256', Buffer.from(input), privateKey).toString('base64url');
const hs256 = (input, secret) => createHmac('sha256', secret).update(input).digest('base64url');

// Each returns [changes of the header, (input) => signature].
const SIGNERS = {
  own: ({ keys }) => [{ kid: keys.current.kid }, (input) => rs256(input, keys.current)],
  none: () => [{ alg: 'none', kid: undefined }, () => ''],
  hs256_secret: (_state, secret) => [{ alg: 'HS256', kid: undefined }, (input) => hs256(input, secret)],
  hs256_public_key: ({ keys }) => [{ alg: 'HS256', kid: keys.current.kid }, (input) => hs256(input, keys.current.pem)],
  // A key that nobody published, under the name of one that is, and under its own.
  unpublished: ({ keys }) => [{ kid: keys.current.kid }, (input) => rs256(input, key())],
  unknown_kid: () => [{ kid: randomUUID() }, (input) => rs256(input, key())],
  broken: ({ keys }) => [{ kid: keys.current.kid }, (input) => rs256(`${input} `, keys.current)],
};
export const signers = Object.keys(SIGNERS);

function changed(object, changes = {}) {
  const all = { ...object, ...changes };
  for (const [name, value] of Object.entries(all)) if (value === null) delete all[name];
  return all;
}

function overage(state, claims) {
  const account = [...state.accounts.values()].find((it) => it.claims.sub === claims.sub);
  if (!account?.overage) return claims;
  const endpoint = `${state.issuer}/lookup/${encodeURIComponent(account.user)}/getMemberObjects`;
  const elsewhere = { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } };
  return changed(claims, { groups: null, ...elsewhere });
}

function id_token(state, jwt, secret, lie) {
  const [header, payload] = jwt.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const only = Object.fromEntries(state.settings.userinfo_only.map((name) => [name, null]));
  const claims = changed(overage(state, changed(payload, only)), lie.claims);
  const [names, signature] = SIGNERS[lie.sign ?? 'own'](state, secret);
  const input = `${base64(changed({ ...header, ...names }, lie.header))}.${base64(claims)}`;
  return `${input}.${signature(input)}`;
}

function callback(url, changes) {
  const to = new URL(url);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) to.searchParams.delete(name);
    else to.searchParams.set(name, value);
  }
  return to.href;
}

const ROUTES = {
  '/auth': 'authorization',
  '/token': 'token',
  '/token/revocation': 'revocation',
  '/me': 'userinfo',
  '/jwks': 'jwks',
  '/.well-known/openid-configuration': 'discovery',
};

// Who asks, by client_secret_basic or client_secret_post: names only, no secret.
const client = (ctx) => ctx.oidc?.client?.clientId;

export const answer = (state) => async (ctx, next) => {
  const route = ROUTES[ctx.path];
  const seen = route && { route, query: { ...ctx.query } };
  if (seen) state.seen.push(seen);
  const fault = state.endpoints.get(route);
  if (fault?.hang) await new Promise(() => {});
  if (fault) {
    ctx.status = fault.status;
    ctx.body = { error: 'server_error', error_description: 'a test asked for this' };
    return;
  }
  await next();

  if (seen) {
    seen.status = ctx.status;
    seen.client = client(ctx);
    seen.grant = ctx.oidc?.params?.grant_type;
  }
  const lie = state.lie ?? {};
  let told = false;
  if (route === 'jwks') ctx.body = { keys: state.keys.published.map((it) => it.public_jwk) };
  if (route === 'userinfo' && ctx.status === 200) {
    ctx.body = changed(overage(state, ctx.body), lie.userinfo);
    told = Boolean(lie.userinfo);
  }
  if (route === 'token' && ctx.body?.id_token) {
    ctx.body.id_token = id_token(state, ctx.body.id_token, state.secrets.get(client(ctx)), lie);
    ctx.body = changed(ctx.body, lie.tokens);
    told = Boolean(lie.claims || lie.header || lie.sign || lie.tokens);
  }
  const location = ctx.response.get('location');
  if (lie.callback && /^\/auth/.test(ctx.path) && location && /[?&](code|error)=/.test(location)) {
    ctx.response.set('location', callback(location, lie.callback));
    told = true;
  }
  if (told && --lie.times <= 0) state.lie = null;
};
