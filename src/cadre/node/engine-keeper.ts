import { CadreError } from "../../core/errors.js";
import type { Engine } from "./engine.js";

/** Keeps one engine running; where it has died, the next call gets another. */
export interface EngineKeeper {
  /**
   * Lets a call work with the engine. Calls that are under way when it dies fail; nothing is repeated.
   * @throws CadreError `engine-lost`; what opening an engine and the work throw.
   */
  use<Result>(work: (engine: Engine) => Promise<Result>): Promise<Result>;
  /** The engine, if one was opened and nobody has seen it die. */
  present(): Promise<Engine | undefined>;
  close(): Promise<void>;
}

/** @param open Opens an engine. */
export function createEngineKeeper(open: () => Promise<Engine>): EngineKeeper {
  let current: Promise<Engine> | undefined;
  let users = 0;

  const alive = async (before: Promise<Engine> | undefined): Promise<Engine> => {
    const engine = await before?.catch(() => undefined);
    if (engine !== undefined && (await engine.isAlive())) return engine;
    await engine?.close();
    return await open();
  };
  /** An engine that works tells by its answers whether it lives; one at rest must be asked. */
  const getEngine = (): Promise<Engine> => {
    if (current === undefined || users === 0) current = alive(current);
    return current;
  };

  return {
    async use(work) {
      const own = getEngine();
      users++;
      try {
        return await work(await own);
      } catch (error) {
        if (current === own && CadreError.isInstance(error) && error.code === "engine-lost") {
          current = undefined;
          void own.then((engine) => engine.close()).catch(() => undefined);
        }
        throw error;
      } finally {
        users--;
      }
    },
    present: async () => current?.catch(() => undefined),
    async close() {
      await (await current?.catch(() => undefined))?.close();
    },
  };
}
