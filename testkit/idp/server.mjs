// An OpenID provider for the tests: the certified `oidc-provider`, with a page to log in on and a few controls.
//
// It listens on a free port of the loopback address, says which one on standard output
// (`{"event":"listening","issuer":"http://127.0.0.1:PORT"}`), and ends when its standard input does.
//
// The environment says what is different from the defaults, each as JSON:
//   IDP_CLIENTS    the clients, as RFC 7591 writes them
//   IDP_TTL        lifetimes in seconds, by kind: AccessToken, IdToken, RefreshToken, AuthorizationCode, Session
//   IDP_RESOURCES  from a resource indicator (RFC 8707) to the scopes of its tokens; these are JWTs (RFC 9068)
//   IDP_ROTATE     whether a refresh token can be used once only; default true
//   IDP_PKCE       whether PKCE is required; default true
//
// Controls, each a POST, answered with JSON:
//   /control/rotate-keys     signs with a new key from now on; the old one stays published until /control/forget-keys
//   /control/forget-keys     publishes the newest key alone
//   /control/down, /up       breaks every connection off, or no longer; controls work always
//   /control/logout?sub=ann  ends the person's sessions and tells the clients on the back channel
//   /control/revoke?sub=ann  withdraws all grants of a person
//   /control/client          adds the client in its body, or replaces the one of the same id
//   /control/seen            how often each endpoint was asked, and every secret that was issued

// Standard output has one line and then no reader.
console.info = console.warn;

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { parse } from 'node:querystring';
import Provider, { errors } from 'oidc-provider';

const settings = (name, otherwise) => (process.env[name] ? JSON.parse(process.env[name]) : otherwise);
let clients = settings('IDP_CLIENTS', []);
const resources = settings('IDP_RESOURCES', {});
const rotates = settings('IDP_ROTATE', true);
const ttl = { AccessToken: 300, IdToken: 300, RefreshToken: 86400, AuthorizationCode: 60, Session: 86400,
  Interaction: 600, Grant: 86400, ClientCredentials: 300, ...settings('IDP_TTL', {}) };

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

// What is stored outlives the provider object, which is made anew when its keys change.
const stored = new Map();
const secrets = new Set();
const SECRET_KINDS = ['AccessToken', 'RefreshToken', 'AuthorizationCode', 'ClientCredentials', 'Session'];

class Adapter {
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload) {
    stored.set(this.key(id), payload);
    if (SECRET_KINDS.includes(this.name)) secrets.add(id);
  }
  async find(id) { return stored.get(this.key(id)); }
  async findByUid(uid) { return this.search((payload) => payload.uid === uid); }
  async findByUserCode(code) { return this.search((payload) => payload.userCode === code); }
  search(matches) {
    for (const [key, payload] of stored) if (key.startsWith(`${this.name}:`) && matches(payload)) return payload;
    return undefined;
  }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of stored) if (payload.grantId === grantId) stored.delete(key);
  }
  async consume(id) {
    const payload = stored.get(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }
}

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

const people = (sub) => ({
  sub, name: `Person ${sub}`, email: `${sub}@example.com`, email_verified: true,
  roles: sub === 'root' ? ['admin'] : ['reader'],
});

let keys = [newKey()];
const cookieKeys = [randomUUID()];

function makeProvider(issuer) {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    clients,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    ttl,
    claims: { openid: ['sub'], profile: ['name', 'roles'], email: ['email', 'email_verified'], sid: null, acr: null,
      auth_time: null },
    acrValues: ['urn:example:password', 'urn:example:two-factors'],
    scopes: ['openid', 'offline_access', 'profile', 'email', ...new Set(Object.values(resources).join(' ').split(' '))]
      .filter(Boolean),
    rotateRefreshToken: rotates,
    // Its own protection against requests to the machine itself would keep it from telling the gateway of a logout.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    pkce: { required: () => settings('IDP_PKCE', true) },
    conformIdTokenClaims: true,
    issueRefreshToken: async (ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => people(sub) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    // Nobody is asked for consent: who is a client here was decided by the test.
    loadExistingGrant: async (ctx) => {
      const { client, session, params } = ctx.oidc;
      const known = session.grantIdFor(client.clientId);
      const grant = (known && (await provider.Grant.find(known)))
        || new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(params.scope ?? 'openid');
      for (const [resource, scope] of Object.entries(resources)) grant.addResourceScope(resource, scope);
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: async (ctx, form) => {
          ctx.body = `<!doctype html><title>Log out</title>${form}`
            + '<button autofocus type="submit" form="op.logoutForm" name="logout" value="yes">Log out</button>';
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (ctx, resource) => {
          const scope = resources[resource];
          if (scope === undefined) throw new errors.InvalidTarget();
          return { scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: ttl.AccessToken,
            jwt: { sign: { alg: 'RS256' } } };
        },
      },
    },
  });
  provider.registerGrantType(TOKEN_EXCHANGE, exchange(provider), [
    'subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope',
  ]);
  provider.on('access_token.issued', (token) => { if (token.jwt) secrets.add(token.jwt); });
  return provider;
}

// RFC 8693, as much of it as a gateway asks for: an access token becomes one for another audience.
const exchange = (provider) => async (ctx) => {
  const { client, params } = ctx.oidc;
  const subject = await provider.AccessToken.find(params.subject_token ?? '');
  if (!subject || subject.isExpired) throw new errors.InvalidGrant('the subject token is not valid');
  const audience = params.resource ?? params.audience;
  if (resources[audience] === undefined) throw new errors.InvalidTarget();
  const scope = params.scope ?? resources[audience];
  const token = new provider.AccessToken({
    accountId: subject.accountId, client, grantId: subject.grantId, gty: 'token_exchange', scope,
    expiresWithSession: false, sessionUid: subject.sessionUid,
  });
  token.resourceServer = new provider.ResourceServer(audience, {
    scope, audience, accessTokenFormat: 'jwt', accessTokenTTL: ttl.AccessToken, jwt: { sign: { alg: 'RS256' } },
  });
  const value = await token.save();
  secrets.add(value);
  ctx.body = { access_token: value, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer', expires_in: token.expiration, scope };
};

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
}

// A form that a raw client and a browser can fill in: one field, one button. Consent is given unasked.
async function interact(provider, request, response) {
  const { uid, prompt } = await provider.interactionDetails(request, response);
  if (prompt.name === 'consent') {
    await provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true });
    return;
  }
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Log in</title><form method="post" action="/interaction/${uid}">`
      + '<input name="login" autofocus><button id="go">Log in</button></form>');
    return;
  }
  const { login } = parse(await body(request));
  const acr = 'urn:example:password';
  await provider.interactionFinished(request, response, { login: { accountId: login, acr } });
}

async function logOut(provider, sub) {
  const told = [];
  for (const [key, session] of [...stored]) {
    if (!key.startsWith('Session:') || session.accountId !== sub) continue;
    for (const [clientId, { sid }] of Object.entries(session.authorizations ?? {})) {
      const client = await provider.Client.find(clientId);
      if (client?.backchannelLogoutUri) {
        const error = await client.backchannelLogout(sub, sid).then(() => undefined, (failed) => failed.message);
        told.push({ clientId, sid, error });
      }
    }
    stored.delete(key);
  }
  return { told };
}

function revoke(sub) {
  for (const [key, payload] of [...stored]) if (payload.accountId === sub && !key.startsWith('Session:')) stored.delete(key);
  return {};
}

const asked = {};
let isDown = false;

async function control(path, query, content) {
  switch (path) {
    case '/control/client': {
      const client = JSON.parse(content);
      clients = [...clients.filter((known) => known.client_id !== client.client_id), client];
      provider = makeProvider(issuer);
      return {};
    }
    case '/control/rotate-keys':
      keys = [newKey(), ...keys];
      provider = makeProvider(issuer);
      return { kid: keys[0].kid };
    case '/control/forget-keys':
      keys = [keys[0]];
      provider = makeProvider(issuer);
      return {};
    case '/control/down': isDown = true; return {};
    case '/control/up': isDown = false; return {};
    case '/control/logout': return logOut(provider, query.sub);
    case '/control/revoke': return revoke(query.sub);
    case '/control/seen': return { asked, secrets: [...secrets] };
    default: return null;
  }
}

let provider;
let issuer;

const server = createServer(async (request, response) => {
  try {
    const url = new URL(request.url, issuer);
    if (url.pathname.startsWith('/control/')) {
      const answer = await control(url.pathname, Object.fromEntries(url.searchParams), await body(request));
      response.statusCode = answer ? 200 : 404;
      response.setHeader('content-type', 'application/json');
      response.setHeader('connection', 'close');
      response.end(JSON.stringify(answer));
      return;
    }
    asked[url.pathname] = (asked[url.pathname] ?? 0) + 1;
    if (isDown) { request.socket.destroy(); return; }
    if (url.pathname.startsWith('/interaction/')) await interact(provider, request, response);
    else await provider.callback()(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    response.end();
  }
});
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  provider = makeProvider(issuer);
  console.log(JSON.stringify({ event: 'listening', issuer }));
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
