"use strict";

// The token stays in this tab, and goes to this server alone.
const KEY = "pitstop-token";
const field = document.getElementById("token");

function show() {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#api",
    docExpansion: "none",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      const token = sessionStorage.getItem(KEY);
      if (token && new URL(request.url, location.href).origin === location.origin) {
        request.headers.Authorization = `Bearer ${token}`;
      }
      return request;
    },
  });
}

document.getElementById("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, field.value.trim());
  show();
});

field.value = sessionStorage.getItem(KEY) || "";
show();
