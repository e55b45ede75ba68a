// Failures that the exchange itself finds, as constants.

import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";

/** The path, or what a route makes of it, is none: 400. */
export const badPath: Failure = failure(Side.Client, Phase.RequestHead, FailureCause.Protocol);
/** The request body is longer than it may be: 413. */
export const bodyTooLarge: Failure = failure(Side.Client, Phase.RequestBody, FailureCause.BodyTooLarge);
/** The client sends its body, or takes the response, more slowly than the route allows: 408, or a reset. */
export const senderTooSlow: Failure = failure(Side.Client, Phase.RequestBody, FailureCause.Timeout);
export const readerTooSlow: Failure = failure(Side.Client, Phase.ResponseBody, FailureCause.Timeout);
/** The route does not admit this client: 403, 401. */
export const denied: Failure = failure(Side.Proxy, Phase.RequestHead, FailureCause.Denied);
/** A limit of the route on requests: 429. */
export const limited: Failure = failure(Side.Proxy, Phase.RequestHead, FailureCause.Limited);
/** A hook of the route failed, before the request was sent or when its response came: 500. */
export const requestHookFailed: Failure = failure(Side.Proxy, Phase.RequestHead, FailureCause.Hook);
export const responseHookFailed: Failure = failure(Side.Proxy, Phase.ResponseHead, FailureCause.Hook);
/** Too many logins wait for a verdict already: 503. */
export const busy: Failure = failure(Side.Proxy, Phase.RequestHead, FailureCause.Full);
