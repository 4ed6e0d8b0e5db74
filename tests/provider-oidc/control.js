// What tests turn. Every request is a POST of JSON and answers {} or, with status 400, what is wrong with it.
import { createServer } from 'node:http';
import { signers } from './lies.js';

const fail = (message) => { throw new Error(message); };

const ACTS = {
  // { user, disabled?, overage?, password?, claims?: {… null removes} }
  '/account': (state, { user, claims = {}, ...rest }) => {
    const account = state.accounts.get(user) ?? fail(`no account ${user}`);
    Object.keys(claims).forEach((name) => state.known.has(name) || fail(`${name} is no claim it was started with`));
    Object.assign(account, rest);
    account.claims = { ...account.claims, ...claims };
    for (const [name, value] of Object.entries(claims)) if (value === null) delete account.claims[name];
  },
  '/redirect': (state, { uri }) => { state.redirects.add(uri); },
  '/lie': (state, lie) => {
    if (lie.sign && !signers.includes(lie.sign)) fail(`no signer ${lie.sign}: ${signers}`);
    state.lie = { times: 1, ...lie };
  },
  '/truth': (state) => { state.lie = null; },
  // { name: authorization | token | userinfo | jwks | discovery | revocation, status? | hang? }
  // neither: it works again
  '/endpoint': (state, { name, ...fault }) => {
    if (fault.status || fault.hang) state.endpoints.set(name, fault);
    else state.endpoints.delete(name);
  },
  // { keep }: are the old keys still published?
  '/keys': (state, { keep }) => state.keys.rotate(keep),
  '/settings': (state, settings) => { Object.assign(state.settings, settings); },
  // { on }: off, connections are refused and the open ones cut; what was issued stays valid
  '/listen': (state, { on }) => state.listening(on),
  // What was asked of it since the last such question.
  '/seen': (state) => ({ seen: state.seen.splice(0) }),
};

export const control = (state) =>
  createServer(async (request, response) => {
    response.setHeader('connection', 'close');
    try {
      let text = '';
      for await (const piece of request) text += piece;
      const act = ACTS[request.url] ?? fail(`no such control: ${request.url}`);
      const said = await act(state, JSON.parse(text || '{}'));
      response.end(JSON.stringify(said ?? {}));
    } catch (error) {
      response.statusCode = 400;
      response.end(error.message);
    }
  });
