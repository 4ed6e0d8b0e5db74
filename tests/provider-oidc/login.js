// The page where people sign in: user name and password, nothing from elsewhere.
const escaped = (text) => String(text ?? '').replace(/[&<>"']/g, (it) => `&#${it.charCodeAt(0)};`);

const page = (user, fault) => `<!doctype html><html lang="en"><meta charset="utf-8">
<title>Sign in at the enterprise</title>
<h1>Sign in at the enterprise</h1>${fault ? `<p role="alert">${fault}</p>` : ''}
<form method="post"><p><label>User name <input name="user" value="${escaped(user)}" required></label>
<p><label>Password <input name="password" type="password" required></label>
<p><button>Sign in</button> <button name="cancel" value="yes" formnovalidate>Cancel</button></form></html>`;

async function form(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return Object.fromEntries(new URLSearchParams(text));
}

export const login = (state, provider) => async (ctx, next) => {
  if (!ctx.path.startsWith('/login/')) return next();
  ctx.type = 'html';
  const { params } = await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method !== 'POST') {
    ctx.body = page(params.login_hint);
    return;
  }
  const { user, password, cancel } = await form(ctx.req);
  const account = state.accounts.get(user);
  let result;
  if (cancel) {
    result = { error: 'access_denied', error_description: 'the person went back' };
  } else if (account && account.password === password && !account.disabled) {
    result = { login: { accountId: account.claims.sub, amr: ['pwd'] } };
  } else {
    ctx.body = page(user, 'Unknown user name or wrong password.');
    return;
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
  ctx.status = 303;
};
