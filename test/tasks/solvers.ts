import { countryOfCity, weekdays } from "../../src/tasks/generated/names.js";
import { type Domain, hotel, museum, restaurant, shop } from "../../src/tasks/generated/remarks.js";
import { nounsByKind } from "../../src/tasks/generated/words.js";
import { amountsIn, opinionsIn, saleIn } from "./parse-text.js";

/** Works out the answer from an instance's fields by other means than the generator. */
export type Solver = (fields: Readonly<Record<string, string>>) => string | undefined;

function only<T>(values: readonly T[]): T | undefined {
  return new Set(values).size === 1 ? values[0] : undefined;
}

function tone(domain: Domain, labels: readonly [string, string]): Solver {
  return ({ text = "" }) => {
    const good = only(opinionsIn(text, domain).map((opinion) => opinion.good));
    return good === undefined ? undefined : labels[good ? 0 : 1];
  };
}

function keywords(patterns: Readonly<Record<string, RegExp>>): (text: string | undefined) => string | undefined {
  return (text = "") => only(Object.keys(patterns).filter((label) => patterns[label]?.test(text)));
}

function extreme(text: string | undefined, wanted: "most" | "least"): string | undefined {
  const sorted = [...amountsIn(text ?? "")].sort((first, second) => second[1] - first[1]);
  return sorted.at(wanted === "most" ? 0 : -1)?.[0];
}

const number = (text: string | undefined) => Number(/\d+/.exec(text ?? "")?.[0]);
const kindOf = (word: string) =>
  Object.entries(nounsByKind).find(([, list]) => list.some((noun) => noun === word))?.[0];
const destinationIn = (text: string | undefined) =>
  /(?<![a-z] lives )(?:from \w+ to|train to|arrive in|moves to) (\w+)/.exec(text ?? "")?.[1];

const club = keywords({
  gardening: /tomato|roses|compost|watering|seedlings|hedge|slugs|greenhouse/i,
  music: /choir|tenors|piano|waltz|sheet music|conductor|band|brass/i,
  chess: /opening|pawn|boards|grandmaster|rook|nine rounds|queen|draw\b/i,
  running: /hill|relay|kilometres|shoes|marathon|sprint|stopwatch|track/i,
});
const bank = keywords({
  card: /cash machine|stolen|chip|new card|block the card|strip|halves|replacement|swallowed/i,
  transfer: /landlord|wrong account|pending|standing order|receiver|wire/i,
  loan: /interest|borrow|debt|instalment|mortgage|credit/i,
  password: /password|login|code|locked|reset|secret|three tries/i,
});
const council = keywords({
  roads: /pothole|traffic light|pavement|lorries|bridge|road sign/i,
  parks: /lawn|benches|lime tree|flower beds|swing|ducks/i,
  schools: /classroom|teacher|pupils|timetable|gym|homework/i,
  noise: /disco|drill|loudspeakers|motorbikes|siren|fireworks/i,
});
const bench = keywords({
  bicycle: /chain|tyres|brakes|saddle|pedal|handlebars/i,
  clock: /ten minutes slow|pendulum|hour hand|alarm|winding|dial/i,
  lamp: /bulb|shade|switch|shines|socket|cable/i,
  shoe: /heel|sole|laces|leather|zip|stitching/i,
});
const diaryClub = keywords({
  gardening: /tomatoes|compost|slugs|seedlings|hedge/i,
  music: /choir|sheet music|conductor|waltz|concert/i,
  chess: /rook|queen|nine rounds|a draw|two boards/i,
  running: /kilometres|shoes|stopwatch|relay|marathon/i,
});
const libraryWish = keywords({
  borrow: /aside|take out|my class/i,
  return: /bringing it back|hand in|give it back|book back/i,
  renew: /more weeks|extend/i,
  join: /new in town|sign up|members|new reader/i,
});
const request = keywords({
  call: /call me back|a ring|phone me/i,
  bill: /the bill|invoice|owe/i,
  meet: /meet later|later hour|postpone/i,
  window: /window/i,
  money: /money|cash|coins/i,
  speak: /slowly|too fast|this speed/i,
  food: /to eat|food|snack/i,
  music: /music|stereo/i,
  dog: /dog/i,
});
const weather = keywords({
  rain: /heavy rain|poured/i,
  sun: /sun shone|sunshine/i,
  snow: /snow/i,
  storm: /storm|gusts/i,
  fog: /thick fog|mist/i,
});
const wish = keywords({
  cancel: /cancel it|call it off|give it up/,
  move: /move it|later date|shift it/,
  confirm: /confirm it|that it stands|as arranged/,
});

function heightVerdict({ facts = "", conclusion = "" }: Readonly<Record<string, string>>): string | undefined {
  const relations = (text: string) =>
    [...text.matchAll(/(\w+) (is taller than|is shorter than|towers over) (\w+)/g)].map(
      ([, one = "", verb, two = ""]) => (verb === "is shorter than" ? `${two}>${one}` : `${one}>${two}`),
    );
  const known = new Set(relations(facts));
  for (const first of [...known]) {
    for (const second of [...known]) {
      const [tall, middle] = first.split(">");
      const [above, short] = second.split(">");
      if (middle === above) known.add(`${tall}>${short}`);
    }
  }
  const asked = relations(conclusion)[0] ?? "";
  if (known.has(asked)) return "certain";
  return known.has(asked.split(">").reverse().join(">")) ? "impossible" : "unknown";
}

function sameSale(first: string | undefined, second: string | undefined): string {
  const one = saleIn(first ?? "");
  const two = saleIn(second ?? "");
  const differs = Object.keys(two).some((key) => key in one && one[key] !== two[key]);
  const adds = Object.keys(two).some((key) => !(key in one));
  return differs ? "no" : adds ? "maybe" : "yes";
}

function actsInOrder(text: string | undefined): string[] {
  const acts = text?.match(
    /fed the cat|watered the plants|phoned the bank|baked a cake|washed the car|wrote a letter|repaired the bicycle|went for a swim|painted the fence|cleaned the windows|bought some milk|sharpened the knives/g,
  );
  const ordered = [...(acts ?? [])];
  return /before that|by the time/i.test(text ?? "") ? ordered.reverse() : ordered;
}

/** A solver for every generated task, by name. */
export const solvers: Readonly<Record<string, Solver>> = {
  "sentiment/restaurant-remarks": tone(restaurant, ["good", "bad"]),
  "sentiment/hotel-reviews": tone(hotel, ["positive", "negative"]),
  "sentiment/museum-visits": tone(museum, ["yes", "no"]),
  "sentiment/order-aspects": ({ text = "", aspect }) => {
    const said = opinionsIn(text, shop).filter((opinion) => opinion.aspect === aspect);
    return said.length === 0 ? "silent" : said[0]?.good ? "pleased" : "displeased";
  },
  "sentiment/happier-diner": ({ text = "" }) => {
    const quotes = [...text.matchAll(/(?:(\w+) said: |in (\w+)'s words, )?"([^"]+)"(?:, wrote (\w+))?/gi)];
    const happy = quotes.filter(([, , , quote = ""]) => opinionsIn(quote, restaurant)[0]?.good);
    return only(happy.map(([, said, words, , wrote]) => said ?? words ?? wrote));
  },
  "topic/restaurant-subject": ({ text = "" }) => only(opinionsIn(text, restaurant).map((opinion) => opinion.aspect)),
  "topic/main-subject": ({ text = "" }) =>
    Object.entries({ meal: restaurant, hotel, order: shop }).find(
      ([, domain]) => opinionsIn(text, domain).length === 2,
    )?.[0],
  "topic/same-subject": ({ first = "", second = "" }) =>
    opinionsIn(first, hotel)[0]?.aspect === opinionsIn(second, hotel)[0]?.aspect ? "same" : "different",
  "topic/club-bulletins": ({ text }) => club(text),
  "intent/bank-chat": ({ text }) => bank(text),
  "intent/bank-letters": ({ text }) => bank(text),
  "topic/council-letters": ({ text }) => council(text),
  "intent/repair-orders": ({ text }) => bench(text),
  "topic/club-diaries": ({ text }) => diaryClub(text),
  "intent/library-mail": ({ text }) => libraryWish(text),
  "entailment/events": ({ premise, statement }) => sameSale(premise, statement),
  "entailment/amounts": ({ premise, claim = "" }) => {
    const [, name, sense] = /(\w+) has (more|fewer)/.exec(claim) ?? [];
    return extreme(premise, sense === "more" ? "most" : "least") === name ? "right" : "wrong";
  },
  "entailment/order-of-events": ({ story, statement }) =>
    String(actsInOrder(story).join() === actsInOrder(statement).join()),
  "entailment/opinions": ({ remark = "", summary = "" }) => {
    const [, name] = /the (food|service|price|room)/i.exec(summary) ?? [];
    const said = opinionsIn(remark, restaurant).find((opinion) => opinion.aspect === name);
    if (said === undefined) return "open";
    return said.good === /praised| liked/.test(summary) ? "supported" : "contradicted";
  },
  "entailment/heights": heightVerdict,
  "words/reverse-order": ({ words = "" }) =>
    words.split(" ").reduce((rest, word) => (rest ? `${word} ${rest}` : word), ""),
  "words/comma-list": ({ words = "" }) => words.replaceAll(" ", ", "),
  "words/reverse-then-commas": ({ words = "" }) =>
    words.split(" ").reduce((rest, word) => (rest ? `${word}, ${rest}` : word), ""),
  "words/odd-one-out": ({ words = "" }) => {
    const list = words.split(", ");
    return only(list.filter((word) => list.filter((other) => kindOf(other) === kindOf(word)).length === 1));
  },
  "words/longest-word": ({ words = "" }) => {
    const list = words.split(", ");
    return only(list.filter((word) => list.every((other) => other === word || other.length < word.length)));
  },
  "words/alphabetical": ({ words = "" }) => {
    const list = words.split(" ");
    return list.every((word, index) => index === 0 || (list[index - 1] ?? "").localeCompare(word) < 0)
      ? "sorted"
      : "unsorted";
  },
  "words/swap-ends": ({ words = "" }) => words.replace(/^(\S+) (.*) (\S+)$/, "$3 $2 $1"),
  "numbers/double": ({ text }) => String(number(text) + number(text)),
  "numbers/add-three": ({ text }) => String(number(text) + 3),
  "numbers/double-then-add-three": ({ text }) => String(number(text) + number(text) + 3),
  "numbers/even-or-odd": ({ text }) => ("02468".includes(String(number(text)).slice(-1)) ? "even" : "odd"),
  "numbers/who-has-more": ({ text }) => extreme(text, "most"),
  "numbers/fewest-of-three": ({ text }) => extreme(text, "least"),
  "extraction/seller": ({ text = "" }) => saleIn(text).giver,
  "extraction/where": ({ text = "" }) => saleIn(text).place,
  "extraction/when": ({ text = "" }) => saleIn(text).day,
  "extraction/how-many": ({ text = "" }) => saleIn(text).goods,
  "extraction/destination": ({ text }) => destinationIn(text),
  "extraction/country-of-city": ({ text = "" }) =>
    only(
      Object.keys(countryOfCity)
        .filter((city) => text.includes(city))
        .map((city) => countryOfCity[city]),
    ),
  "extraction/destination-then-country": ({ text }) => countryOfCity[destinationIn(text) ?? ""],
  "extraction/lost-property": ({ text = "" }) =>
    /(?:left|looking for|search for) an? (\w+)/.exec(text)?.[1] ?? /an? (\w+) fell out/.exec(text)?.[1],
  "paraphrase/sales": ({ first, second }) => (sameSale(first, second) === "yes" ? "same" : "different"),
  "paraphrase/remarks": ({ first = "", second = "" }) =>
    opinionsIn(first, restaurant)[0]?.good === opinionsIn(second, restaurant)[0]?.good ? "yes" : "no",
  "paraphrase/requests": ({ first, second }) => (request(first) === request(second) ? "same" : "different"),
  "paraphrase/weather-notes": ({ first, second }) => (weather(first) === weather(second) ? "equal" : "unequal"),
  "conversion/iso-date": ({ text = "" }) => {
    const [written = ""] = /\d+ [A-Z]\w+ \d{4}|[A-Z]\w+ \d+, \d{4}/.exec(text) ?? [];
    return new Date(`${written} UTC`).toISOString().slice(0, 10);
  },
  "conversion/weekday-later": ({ text = "" }) => {
    const days = ["one", "two", "three"].findIndex((word) => new RegExp(`\\b${word} days?\\b`, "i").test(text)) + 1;
    const today = weekdays.findIndex((day) => text.includes(day));
    return new Intl.DateTimeFormat("en", { weekday: "long", timeZone: "UTC" }).format(
      Date.UTC(2024, 0, 1 + today + days),
    );
  },
  "conversion/centimetres": ({ text }) => `${number(text)}00 cm`,
  "conversion/minutes": ({ text = "" }) => `${(number(text) + (text.includes("and a half") ? 0.5 : 0)) * 60} minutes`,
  "conversion/clock-24": ({ text = "" }) => {
    const [time = ""] = /\d+:\d\d [ap]m/.exec(text) ?? [];
    return new Date(`1 January 2000 ${time} UTC`).toISOString().slice(11, 16);
  },
  "intent/restaurant-messages": ({ text = "" }) => {
    if (text.includes("?")) return "question";
    const good = only(opinionsIn(text, restaurant).map((opinion) => opinion.good));
    return good === undefined ? "booking" : good ? "praise" : "complaint";
  },
  "intent/travel-desk": ({ text = "" }) => {
    const [, ...wanted] =
      /[Ww]e want to (.*)|plan is to (.*) rather|we ask you to (.*)|now we would like to (.*)/.exec(text) ?? [];
    const part = wanted.find((match) => match !== undefined);
    return wish(part?.split(/, we do not|[.!,]/)[0]);
  },
  "intent/hotel-urgency": ({ text = "" }) =>
    /at once|right now|immediately|hurry, please|another hour/i.test(text) ? "urgent" : "can wait",
  "intent/library-desk": keywordsOfDesk,
};

function keywordsOfDesk({ text }: Readonly<Record<string, string>>): string | undefined {
  return keywords({
    borrow: /take out|on loan|something to read/i,
    return: /bringing back|hand in|give back/i,
    renew: /more weeks|extend|not through/i,
    join: /card|sign up|member/i,
  })(text);
}
