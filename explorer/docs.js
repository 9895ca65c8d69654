"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  // The default sends the document to a validator on the internet.
  validatorUrl: null,
});
