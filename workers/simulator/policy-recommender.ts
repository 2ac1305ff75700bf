import type { Environment } from "./environment.ts";
import type { Policy } from "./policies.ts";
import type { RecommendAnswer, RecommenderUnderTest, RecommendRequest } from "./port.ts";
import type { Session } from "./user-model.ts";

/** What a policy needs of the run that it serves. */
export type PolicyName = "random" | "popularity" | "oracle";

/**
 * Serves the slates of a policy in place of a recommender, for the baselines. The environment is
 * given afterwards (`serve`), because it wants its recommender when it is made.
 */
export class PolicyRecommender implements RecommenderUnderTest {
  #environment: Environment | null = null;
  #policy: Policy | null = null;
  #requests = 0;

  serve(environment: Environment, policy: Policy): void {
    this.#environment = environment;
    this.#policy = policy;
  }

  recommend(request: RecommendRequest): RecommendAnswer {
    const environment = this.#environment;
    if (environment === null || this.#policy === null) return { requestId: "", items: [] };
    const session = this.#sessionOf(environment, request.user);
    environment.population.markSeen(session.user);
    const slots = this.#policy.slate(session, request.n);
    const { world } = environment.population;
    return {
      requestId: (this.#requests++).toString(16).padStart(32, "0"),
      items: slots.map((slot) => ({ id: world.idAt(slot) })),
    };
  }

  /** The session that is asking; a fresh one for a stranger. */
  #sessionOf(environment: Environment, user: string): Session {
    return environment.sessionOf(Number(user.slice(1)));
  }

  events(): void {}

  items(): void {}
}
