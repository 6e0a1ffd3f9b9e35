import type { GeneratedTask } from "./generated-task.js";
import { heldOutPeople } from "./names.js";
import { mixIn, pick, pickSeveral, runningText } from "./random-text.js";
import { heldOutAsides } from "./words.js";

/** A task whose answer is told by what one or two clauses are about. */
interface SortingTask extends Pick<GeneratedTask, "name" | "definition" | "templates"> {
  /** Clauses by label. */
  readonly clauses: Readonly<Record<string, readonly string[]>>;
  /** Clauses that bear on no label; `{name}` is a person. */
  readonly frames: readonly string[];
}

/** Held out, all of them: neither their labels nor their clauses are in the pre-training of the base that ships. */
function sortingTask({ name, definition, templates, clauses, frames }: SortingTask): GeneratedTask {
  const choices = Object.keys(clauses);
  return {
    ...{ name, definition, templates, choices },
    family: name.slice(0, name.indexOf("/")),
    role: "held-out",
    difficulty: "words",
    generate(random) {
      const label = pick(random, choices);
      const told = pickSeveral(random, clauses[label] ?? [], 1 + random.nextInteger(2));
      const frame = pick(random, frames).replace("{name}", pick(random, heldOutPeople));
      const fillers = [frame, ...pickSeveral(random, heldOutAsides, random.nextInteger(3))];
      return { fields: { text: runningText(random, mixIn(random, told, fillers)) }, targets: [label] };
    },
  };
}

const bankChat = sortingTask({
  name: "intent/bank-chat",
  definition: "Decide what a customer's message to a bank is about: card, transfer, loan or password.",
  templates: [
    "Bank chat: {{ text }}\nIs it about a card, a transfer, a loan or a password?",
    "{{ text }}\nThe bank should pass this on to the desk for",
    "Sort this message to the bank into card, transfer, loan or password.\n{{ text }}",
  ],
  clauses: {
    card: [
      "the cash machine kept my card",
      "my card was stolen on holiday",
      "the shop could not read the chip",
      "the new card has not arrived",
      "please block the card at once",
      "the magnetic strip is scratched",
    ],
    transfer: [
      "the transfer to my landlord is missing",
      "I sent the sum to the wrong account number",
      "the payment has been pending for days",
      "please stop the standing order",
      "the receiver says nothing came in",
      "the wire abroad was returned",
    ],
    loan: [
      "what interest do you charge for a loan",
      "we want to borrow for a house",
      "may I pay off the debt sooner",
      "the monthly instalment is too high",
      "our mortgage ends next year",
      "I need credit for a van",
    ],
    password: [
      "I forgot my password",
      "the login page refuses me",
      "the code by text never comes",
      "I locked myself out after three tries",
      "please reset my access",
      "the app asks for a secret that I never set",
    ],
  },
  frames: ["this is {name}", "{name} is writing", "my name is {name}", "please answer {name}"],
});

/** Shares labels and subject with `bankChat`, in other clauses. */
const bankLetters = sortingTask({
  name: "intent/bank-letters",
  definition: "Decide which folder a letter to a bank goes into: card, transfer, loan or password.",
  templates: [
    "A letter reached the bank. {{ text }}\nFolder (card, transfer, loan, password):",
    "{{ text }}\nInto which folder does the clerk put this letter, card, transfer, loan or password?",
    "What does this customer of the bank write about, a card, a transfer, a loan or a password?\n{{ text }}",
  ],
  clauses: {
    card: [
      "I enclose the halves of my old card",
      "a thief used my stolen card twice",
      "the chip fell out of the card",
      "kindly send the replacement card to my new address",
      "the machine at the corner swallowed my card",
    ],
    transfer: [
      "my landlord has not received the payment",
      "kindly return the sum which went to a wrong account",
      "the standing order was carried out twice",
      "a wire from abroad has been pending since March",
      "the number of the receiver had a slip of the pen",
    ],
    loan: [
      "we ask for a lower interest on our debt",
      "the mortgage of our house shall run ten more years",
      "I wish to borrow a modest sum for a boat",
      "this instalment will be two weeks late",
      "kindly tell me the terms of your credit",
    ],
    password: [
      "your app has locked me out",
      "the login has refused my password since Monday",
      "kindly reset the secret code of my access",
      "three tries failed and now the page is closed to me",
      "I never got the text with the code",
    ],
  },
  frames: ["yours, {name}", "signed by {name}", "dear sirs, writes {name}", "{name} dictated this"],
});

const councilLetters = sortingTask({
  name: "topic/council-letters",
  definition: "Decide what a letter to the town council is about: roads, parks, schools or noise.",
  templates: [
    "Letter to the council: {{ text }}\nRoads, parks, schools or noise?",
    "{{ text }}\nThe council files this under",
    "Which committee reads it: roads, parks, schools or noise?\n{{ text }}",
  ],
  clauses: {
    roads: [
      "a pothole opened at the crossing",
      "the traffic light stays red for minutes",
      "the pavement is broken near the bank",
      "lorries ignore the speed limit",
      "the bridge needs new asphalt",
      "a road sign has fallen over",
    ],
    parks: [
      "the lawn by the pond is brown",
      "the benches under the oak need paint",
      "somebody cut the old lime tree",
      "the flower beds are full of weeds",
      "the playground swing is gone",
      "ducks find no water any more",
    ],
    schools: [
      "the classroom heating failed",
      "we are short of a mathematics teacher",
      "the pupils eat in the corridor",
      "the timetable changed without notice",
      "the gym of the primary school leaks",
      "homework clubs have closed",
    ],
    noise: [
      "the disco keeps us awake",
      "a drill starts before dawn",
      "the neighbour's loudspeakers shake our walls",
      "motorbikes roar past at midnight",
      "the factory siren howls every hour",
      "fireworks bang until two",
    ],
  },
  frames: ["{name} collects signatures", "regards, {name}", "I speak for {name} too", "{name} has taken photographs"],
});

const repairOrders = sortingTask({
  name: "intent/repair-orders",
  definition: "Decide which bench of a repair shop gets an order: bicycle, clock, lamp or shoe.",
  templates: [
    "Repair order: {{ text }}\nBicycle, clock, lamp or shoe?",
    "{{ text }}\nThis goes to the bench for",
    "Choose the bench (bicycle, clock, lamp, shoe) for this order.\n{{ text }}",
  ],
  clauses: {
    bicycle: [
      "the chain jumps off",
      "both tyres are flat",
      "the brakes squeal downhill",
      "the saddle is torn",
      "the pedal hangs loose",
      "the handlebars are bent",
    ],
    clock: [
      "it runs ten minutes slow",
      "the pendulum stands still",
      "the hour hand came off",
      "the alarm rings at random",
      "it needs winding every morning",
      "the dial is cracked",
    ],
    lamp: [
      "the bulb flickers",
      "the shade is burnt",
      "the switch gives sparks",
      "it no longer shines at full strength",
      "the socket in its foot is loose",
      "the cable was chewed by a rabbit",
    ],
    shoe: [
      "the heel broke off",
      "the sole lets in water",
      "the laces tore through their holes",
      "the leather is too tight at the toes",
      "the zip of the boot sticks",
      "the stitching at the ankle came undone",
    ],
  },
  frames: ["for {name}", "{name} will fetch it", "{name} pays in advance", "call {name} when it is done"],
});

/** Shares labels and subject with `topic/club-bulletins`, in other clauses. */
const clubDiaries = sortingTask({
  name: "topic/club-diaries",
  definition: "Decide in which club a member spent the day: gardening, music, chess or running.",
  templates: [
    "From a diary: {{ text }}\nWhich club was it, gardening, music, chess or running?",
    "{{ text }}\nThe writer belongs to the club for",
    "Name the club (gardening, music, chess, running) of this day.\n{{ text }}",
  ],
  clauses: {
    gardening: [
      "I tied the tomatoes to their stakes",
      "we spread compost around the roses",
      "I found slugs beneath the lettuce",
      "the seedlings moved into the greenhouse",
      "my hands smell of the hedge that I cut",
    ],
    music: [
      "I sang second tenor in the choir",
      "my sheet music fell off the piano",
      "the conductor made the brass play it again",
      "we tried a waltz with the drummer",
      "the concert of our band was sold out",
    ],
    chess: [
      "I gave up a rook for a pawn",
      "my queen was trapped in the opening",
      "the clocks were set for nine rounds",
      "I offered a draw to the grandmaster",
      "our team lost on two boards",
    ],
    running: [
      "I ran ten kilometres along the forest track",
      "my shoes were muddy after the hill",
      "the stopwatch said it was my best sprint",
      "I handed over too early in the relay",
      "my legs still ache from the marathon",
    ],
  },
  frames: ["{name} came along", "{name} was not there", "I told {name} about it", "{name} took me home"],
});

/** Shares labels and subject with `intent/library-desk`, in other clauses. */
const libraryMail = sortingTask({
  name: "intent/library-mail",
  definition: "Decide what the writer of a note to a library wants: borrow, return, renew or join.",
  templates: [
    "Note to the library: {{ text }}\nDoes the writer want to borrow, return, renew or join?",
    "{{ text }}\nAnswer with borrow, return, renew or join:",
    "Borrow, return, renew or join: what shall the library do for the writer?\n{{ text }}",
  ],
  clauses: {
    borrow: [
      "please put the atlas aside, I should like to have it on loan",
      "I am looking for a crime novel to take out on Friday",
      "may my class have the poems on loan",
      "is there something to read on bees that I may take out",
    ],
    return: [
      "I have finished the travel guide and my son is bringing it back",
      "I hand in the dictionary through the flap",
      "the biography lies on your counter, I give it back with thanks",
      "here comes the cookery book back, somewhat stained",
    ],
    renew: [
      "I am not through yet and need more weeks for the yearbook",
      "please extend my loan until autumn",
      "three more weeks would be enough for the fairy tales",
      "may I extend it, as I am only half through",
    ],
    join: [
      "I am new in town and want a reader's card",
      "how do I sign up with you",
      "my wife and I should like to become members",
      "what does a card for a new reader cost",
    ],
  },
  frames: ["greetings from {name}", "{name}", "you know me, I am {name}", "written by {name}"],
});

/** Tasks of everyday messages, which the quickstart trains and judges on. */
export const everydayTasks: readonly GeneratedTask[] = [
  bankChat,
  bankLetters,
  councilLetters,
  repairOrders,
  clubDiaries,
  libraryMail,
];
