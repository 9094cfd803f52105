"use strict";

// Tables: a click on a column's head sorts by it, numbers as numbers, what has no value last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const body = table.tBodies[0];
      const value = (row) => row.cells[column]?.dataset.value ?? "";
      const rows = [...body.rows].sort((one, other) => compare(value(one), value(other), rising));
      body.append(...rows);
    });
  });
}

function compare(one, other, rising) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  const order = numbers.some(Number.isNaN) ? one.localeCompare(other, undefined, { numeric: true }) : numbers[0] - numbers[1];
  return rising ? order : -order;
}

// Filters: what is of another data set or metric than the chosen one is hidden; what is of all stays.
const filters = [...document.querySelectorAll("select[data-filter]")];
for (const filter of filters) {
  filter.addEventListener("change", () => {
    for (const element of document.querySelectorAll("[data-dataset], [data-metric]")) {
      element.hidden = filters.some(({ dataset, value }) => {
        const own = element.dataset[dataset.filter];
        return value !== "" && own !== undefined && own !== value;
      });
    }
  });
}
