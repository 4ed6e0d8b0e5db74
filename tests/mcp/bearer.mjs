// Loaded before the conformance tests, which have no option for a header: every request gets the bearer token.
import { createRequire } from "node:module";

const { TOKEN: token, MODULES: modules } = process.env;
if (token) {
  const { Agent, setGlobalDispatcher } = createRequire(`${modules}/here.js`)("undici");
  const bearing = (dispatch) => (options, handler) => {
    const given = options.headers ?? [];
    const headers = Array.isArray(given) ? [...given] : Object.entries(given).flat();
    headers.push("authorization", `Bearer ${token}`);
    return dispatch({ ...options, headers }, handler);
  };
  setGlobalDispatcher(new Agent().compose(bearing));
}
